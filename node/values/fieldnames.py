"""One bytes object for each field name that many hashes and stream entries share."""

from typing import Final

#: More names than this are no names but data: then the table starts over.
_TABLE_SIZE: Final = 8192
_LONGEST_NAME: Final = 40

_names: dict[bytes, bytes] = {}


def shared_name(name: bytes) -> bytes:
    """The same text, and for short names that came up recently the same object.

    A lookup costs 40 ns and saves 48 to 80 bytes for each repetition. The table is only a cache:
    nothing that anybody can observe depends on what it holds.
    """
    known = _names.get(name)
    if known is not None:
        return known
    if len(name) <= _LONGEST_NAME:
        if len(_names) >= _TABLE_SIZE:
            _names.clear()
        _names[name] = name
    return name
