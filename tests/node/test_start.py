"""What a start of the server loads: each module that nobody needs yet costs every start time."""

import subprocess
import sys
from typing import Final

#: Large, and either for tools and tests, or for a feature that loads them when it is first used.
_NOT_AT_START: Final = (
    *("asyncio", "concurrent.futures", "email", "http", "hypothesis", "json", "lupa"),
    *("multiprocessing", "pytest", "sqlite3", "unittest", "urllib.request", "xml"),
    *("clustrio.tools", "clustrio.tests"),
)
_PROGRAM: Final = """
import sys
import clustrio.node.__main__
from clustrio.node.registry import build_commands
build_commands()
print(*sys.modules)
"""


def test_a_start_loads_nothing_that_can_wait() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert "clustrio.node.commands.strings" in loaded
    assert [name for name in _NOT_AT_START if name in loaded] == []
