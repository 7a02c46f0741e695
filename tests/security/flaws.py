"""Known flaws of servers of this kind, by their CVE numbers, and which test sends each to a node.

Owns the list; `test_known_flaws.py` and its neighbours own the checks. In a server written in
Python a flaw of memory shows as a wrong state, a hang or an uncaught exception: that is what the
tests look for.
"""

from collections.abc import Callable
from typing import Final, TypeVar

#: Number -> what went wrong elsewhere.
FLAWS: Final[dict[str, str]] = {
    "2021-32675": "headers of large requests before AUTH eat memory",
    "2022-24735": "a script runs code that another user has planted",
    "2022-24736": "loading a strange script crashes",
    "2022-24834": "cjson and cmsgpack overflow by size or depth",
    "2022-35977": "offsets of SETRANGE and SORT overflow",
    "2022-36021": "patterns of KEYS and SCAN take for ever",
    "2023-22458": "extreme counts of HRANDFIELD and ZRANDMEMBER",
    "2023-25155": "extreme counts of SRANDMEMBER and its kin",
    "2023-28425": "MSETNX with a key twice",
    "2023-28856": "HINCRBYFLOAT leaves a field that cannot be read",
    "2023-45145": "the Unix socket can be used before its rights are set",
    "2024-31227": "an ACL selector that is not closed",
    "2024-31228": "patterns of ACL and PSUBSCRIBE take for ever",
    "2024-31449": "the bit library overflows",
    "2024-46981": "Lua's collector frees what is in use",
    "2024-51741": "an ACL selector that makes no sense",
    "2025-21605": "a stranger who never reads has errors pile up",
    "2025-27151": "a long file name overflows the checker of logs",
    "2025-32023": "a damaged HyperLogLog writes out of bounds",
    "2025-46686": "headers of large requests of users without rights eat memory",
    "2025-46817": "numbers given to Lua's libraries overflow",
    "2025-46818": "a script changes what strings of other users' scripts can do",
    "2025-46819": "a long bracket is read beyond its end",
    "2025-48367": "an error of accept ends accepting",
    "2025-49844": "Lua's parser uses what the collector has freed",
    "2025-62507": "many IDs in a command on a stream overflow",
    "2025-67733": "a script's error or status line becomes several replies",
    "2026-21863": "a malformed message at the bus port",
    "2026-23479": "a blocked client is evicted while it is unblocked",
    "2026-23631": "a full synchronization arrives in the middle of a script",
    "2026-25243": "RESTORE reads what is not there",
    "2026-27623": "an empty request before AUTH",
    "2026-34444": "a script reaches Python's objects",
    "2026-56684": "CLIENT KILL frees a connection of TLS that is in use",
    "2026-63639": "two consumers of a stored stream share a pending entry",
}

_Check = TypeVar("_Check", bound=Callable[..., None])
#: Number -> the names of the checks that there are.
CHECKS: Final[dict[str, list[str]]] = {}


def checks(*numbers: str) -> Callable[[_Check], _Check]:
    """Say which flaws a test looks for."""

    def note(check: _Check) -> _Check:
        for number in numbers:
            assert number in FLAWS, number
            CHECKS.setdefault(number, []).append(check.__name__)
        return check

    return note
