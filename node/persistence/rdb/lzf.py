"""LZF, the compression of strings in snapshots.

A compressed text is a row of literal runs (a byte below 32: so many bytes more than that follow)
and of copies (three bits of length, thirteen of distance). Decompressing checks every step, since
the bytes may come from anywhere. Compressing is done in Python and therefore only where it is worth
its time: long repetitions are found quickly, everything else is soon given up and stays as it is.
"""

from typing import Final

from .errors import DamagedError

#: A copy of 264 bytes takes three: no text can be longer than this times its compressed form.
MAX_RATIO: Final = 89
_LONGEST_LITERAL: Final = 32
_LONGEST_COPY: Final = 264
_FARTHEST: Final = 1 << 13
#: Texts shorter than this are not even tried: too little gained for the time.
SHORTEST: Final = 128
#: So many steps a text may take, and one more for so many bytes: what needs more is given up.
_FREE_STEPS: Final = 12
_BYTES_A_STEP: Final = 24


def decompress_untrusted(data: bytes, size: int) -> bytes:
    """The text of `size` bytes that `data` stands for."""
    if size > len(data) * MAX_RATIO or size <= 0:
        raise DamagedError("impossible length of a compressed string")
    out = bytearray()
    place = 0
    end = len(data)
    while place < end:
        control = data[place]
        place += 1
        if control < _LONGEST_LITERAL:
            stop = place + control + 1
            if stop > end:
                raise DamagedError("compressed string ends within a literal")
            out += data[place:stop]
            place = stop
        else:
            length = control >> 5
            if length == 7:
                if place >= end:
                    raise DamagedError("compressed string ends within a copy")
                length += data[place]
                place += 1
            if place >= end:
                raise DamagedError("compressed string ends within a copy")
            distance = ((control & 0x1F) << 8 | data[place]) + 1
            place += 1
            length += 2
            start = len(out) - distance
            if start < 0:
                raise DamagedError("compressed string refers to what is before it")
            if distance >= length:
                out += out[start : start + length]
            else:
                # The copy overlaps itself: a pattern is repeated.
                pattern = bytes(out[start:])
                out += (pattern * (length // distance + 1))[:length]
        if len(out) > size:
            raise DamagedError("compressed string is longer than it says")
    if len(out) != size:
        raise DamagedError("compressed string is shorter than it says")
    return bytes(out)


def maybe_compress(text: bytes) -> bytes | None:
    """A shorter form of the text; None if there is none that can be found quickly."""
    size = len(text)
    if size < SHORTEST:
        return None
    out = bytearray()
    #: Where three bytes were seen last.
    seen: dict[bytes, int] = {}
    place = 0
    literal = 0
    steps = _FREE_STEPS + size // _BYTES_A_STEP
    last = size - 3
    while place < last:
        steps -= 1
        if not steps:
            return None
        head = text[place : place + 3]
        found = seen.get(head, -1)
        seen[head] = place
        if found < 0 or place - found > _FARTHEST:
            place += 1
            continue
        length = _common_length(text, found, place, min(_LONGEST_COPY, size - place))
        if literal < place:
            _put_literal(out, text, literal, place)
        distance = place - found - 1
        short = length - 2
        if short < 7:
            out.append(short << 5 | distance >> 8)
        else:
            out.append(7 << 5 | distance >> 8)
            out.append(short - 7)
        out.append(distance & 0xFF)
        place += length
        literal = place
    if literal < size:
        _put_literal(out, text, literal, size)
    return bytes(out) if len(out) < size - 4 else None


def _common_length(text: bytes, first: int, second: int, most: int) -> int:
    """How many bytes at two places are the same: three at least, `most` at most."""
    if text[first : first + most] == text[second : second + most]:
        return most
    low, high = 3, most
    # Invariant: `low` bytes are the same, `high` are not.
    while high - low > 1:
        middle = (low + high) // 2
        if text[first + low : first + middle] == text[second + low : second + middle]:
            low = middle
        else:
            high = middle
    return low


def _put_literal(out: bytearray, text: bytes, start: int, stop: int) -> None:
    for piece in range(start, stop, _LONGEST_LITERAL):
        end = min(piece + _LONGEST_LITERAL, stop)
        out.append(end - piece - 1)
        out += text[piece:end]
