"""What SSCAN, HSCAN and ZSCAN share: their words, their steps and the shape of their replies.

    cursor = parse_cursor(args[2])
    value = session.db.typed(args[1], SetValue)
    if value is None:
        return EMPTY_SCAN
    options = parse_scan_options(args)
    whole = value.members() if value.is_compact else None
    following, members = scan_step(value, cursor, options, whole)
    return scan_reply(following, members)

That order is Redis': a bad cursor is refused before the key is looked at, and nobody reads the
options of a scan of nothing. What Redis keeps compactly it returns at once, whatever the cursor and
the count say; the caller hands it over as `whole`, in Redis' order.
"""

from typing import Final, Protocol

from attrs import frozen

from ..errors import SYNTAX
from ..resp.encoder import array, bulk, bulk_array
from ..values.glob import Matcher, compile_glob, matches_everything
from .scan import parse_cursor, parse_scan_count

__all__ = [
    "EMPTY_SCAN",
    "ScanOptions",
    "Scannable",
    "parse_cursor",
    "parse_scan_options",
    "scan_reply",
    "scan_step",
]

#: The scan of a key that does not exist.
EMPTY_SCAN: Final = b"*2\r\n$1\r\n0\r\n*0\r\n"
_FIRST_OPTION: Final = 3
_DEFAULT_COUNT: Final = 10


@frozen
class ScanOptions:
    """What stands behind the cursor."""

    #: About how many members a step looks at.
    count: int = _DEFAULT_COUNT
    #: Which of them are returned; None: all.
    matches: Matcher | None = None
    #: HSCAN: the fields alone.
    leaves_out_values: bool = False


_DEFAULTS: Final = ScanOptions()


class Scannable(Protocol):
    """A collection that can be walked by cursor; see `values.scancursor`."""

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Some members from a cursor on, and the next cursor (0: done)."""


def parse_scan_options(args: list[bytes], *, knows_novalues: bool = False) -> ScanOptions:
    """Read `[MATCH pattern] [COUNT count]` from `args[3]` on, and NOVALUES where it is known."""
    end = len(args)
    if end == _FIRST_OPTION:
        return _DEFAULTS
    count = _DEFAULT_COUNT
    matches: Matcher | None = None
    leaves_out_values = False
    position = _FIRST_OPTION
    while position < end:
        option = args[position].upper()
        if option == b"NOVALUES" and knows_novalues:
            leaves_out_values = True
            position += 1
            continue
        if position + 1 == end:
            raise SYNTAX
        text = args[position + 1]
        if option == b"COUNT":
            count = parse_scan_count(text)
        elif option == b"MATCH":
            matches = None if matches_everything(text) else compile_glob(text)
        else:
            raise SYNTAX
        position += 2
    return ScanOptions(count, matches, leaves_out_values)


def scan_step(
    collection: Scannable, cursor: int, options: ScanOptions, whole: list[bytes] | None
) -> tuple[int, list[bytes]]:
    """The next cursor, and those members of this step that match."""
    if whole is None:
        following, members = collection.scan(cursor, options.count)
    else:
        following, members = 0, whole
    if options.matches is not None:
        members = list(filter(options.matches, members))
    return following, members


def scan_reply(cursor: int, texts: list[bytes]) -> bytes:
    """A cursor and what was found: members, or members and their values in turn."""
    return array((bulk(b"%d" % cursor), bulk_array(texts)))
