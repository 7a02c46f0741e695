"""Long rows of bulk strings, as LRANGE, HGETALL and ZRANGE send them; hiredis takes 95 ns each.

Strings that are all equally long have the same bytes between them: such a row is one join, 30 ns an
element. Otherwise what announces a string is looked up together with the line break that ends what
is before it, so that a row is one join over two strings an element: 60 ns.
"""

from collections.abc import Sequence
from typing import Final

from .encoder import BULK_PREFIXES, CRLF, EMPTY_ARRAY, bulk, flat_bulks, pack_bulks

_BETWEEN: Final = [CRLF + prefix for prefix in BULK_PREFIXES]
_between = _BETWEEN.__getitem__
#: Shorter rows are quicker in C; if all are equally long, only these.
_LONG: Final = 64
_LONG_IF_EVEN: Final = 8


def bulk_row(texts: list[bytes]) -> bytes:
    """An array of bulk strings, however long."""
    count = len(texts)
    if count >= _LONG or (count >= _LONG_IF_EVEN and _looks_even(texts)):
        return opened_row(b"*%d" % count, texts)
    return pack_bulks(tuple(texts)) if texts else EMPTY_ARRAY


def flat_row(texts: Sequence[bytes]) -> bytes:
    """Bulk strings one after the other."""
    if len(texts) == 1:
        return bulk(texts[0])
    return opened_row(b"", texts)[len(CRLF) :]


def _looks_even(texts: Sequence[bytes]) -> bool:
    return len(texts[0]) == len(texts[len(texts) // 2]) == len(texts[-1])


def opened_row(opening: bytes, texts: Sequence[bytes]) -> bytes:
    """The line `opening`, given without its end, and then bulk strings."""
    if texts and _looks_even(texts):
        lengths = {*map(len, texts)}
        if len(lengths) == 1:
            between = b"\r\n$%d\r\n" % lengths.pop()
            return b"".join((opening, between, between.join(texts), CRLF))
    parts = [opening] * (2 * len(texts) + 2)
    try:
        parts[1:-1:2] = map(_between, map(len, texts))
    except IndexError:
        return b"".join((opening, CRLF, flat_bulks(texts)))
    parts[2:-1:2] = texts
    parts[-1] = CRLF
    return b"".join(parts)
