"""What the operating system tells of this process."""

import os
import platform
import resource
import sys
from pathlib import Path
from typing import Final

from ..observe.process import CpuTimes

_STATM: Final = Path("/proc/self/statm")


class SystemFacts:
    """The running process."""

    def __init__(self) -> None:
        name = os.uname()
        self.executable: Final = os.path.abspath(sys.argv[0]) if sys.argv[0] else sys.executable
        self.system_name: Final = f"{name.sysname} {name.release} {name.machine}"
        self.polling: Final = "epoll" if sys.platform == "linux" else "kqueue"
        self.compiler_version: Final = _compiler_version()
        self._page_bytes: Final = os.sysconf("SC_PAGE_SIZE")
        self.total_memory_bytes: Final = self._page_bytes * os.sysconf("SC_PHYS_PAGES")

    @property
    def process_id(self) -> int:
        """The number of the process; a daemon gets its own after this object was made."""
        return os.getpid()

    def resident_bytes(self) -> int:
        """The memory that the process occupies now; where nobody tells, its highest amount."""
        try:
            return int(_STATM.read_bytes().split()[1]) * self._page_bytes
        except OSError:
            highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return highest if sys.platform == "darwin" else highest * 1024

    def cpu_times(self) -> CpuTimes:
        """The processor time that it used so far."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        main = own
        if sys.platform == "linux":
            main = resource.getrusage(resource.RUSAGE_THREAD)
        return CpuTimes(
            system_s=own.ru_stime,
            user_s=own.ru_utime,
            children_system_s=children.ru_stime,
            children_user_s=children.ru_utime,
            main_thread_system_s=main.ru_stime,
            main_thread_user_s=main.ru_utime,
        )


def _compiler_version() -> str:
    """`GCC 12.2.0` without the name, as Redis shows it; zeros for another compiler."""
    name, _, version = platform.python_compiler().partition(" ")
    return version.split(" ")[0] if name == "GCC" and version else "0.0.0"
