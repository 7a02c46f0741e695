"""What only the operating system knows of the node: handed in, since nothing here may ask it."""

from typing import Final, Protocol

from attrs import frozen


@frozen
class CpuTimes:
    """Seconds of processor time that were used so far."""

    system_s: float
    user_s: float
    children_system_s: float
    children_user_s: float
    main_thread_system_s: float
    main_thread_user_s: float


class ProcessFacts(Protocol):
    """The process that the node runs in."""

    @property
    def process_id(self) -> int:
        """The number of the process."""

    @property
    def executable(self) -> str:
        """The program that was started."""

    @property
    def system_name(self) -> str:
        """Kernel, its release and the machine's architecture, as `uname` has them."""

    @property
    def polling(self) -> str:
        """The way to wait for sockets."""

    @property
    def compiler_version(self) -> str:
        """The version of the compiler that built the interpreter."""

    @property
    def total_memory_bytes(self) -> int:
        """The memory of the whole machine."""

    def resident_bytes(self) -> int:
        """The memory that the process occupies now."""

    def cpu_times(self) -> CpuTimes:
        """The processor time that it used so far."""


class NoProcess:
    """A node in memory: there is nothing to tell."""

    process_id: Final = 0
    executable: Final = ""
    system_name: Final = ""
    polling: Final = "none"
    compiler_version: Final = "0.0.0"
    total_memory_bytes: Final = 0

    def resident_bytes(self) -> int:
        """Nothing is known."""
        return 0

    def cpu_times(self) -> CpuTimes:
        """Nothing is known."""
        return CpuTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
