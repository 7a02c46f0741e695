"""Where the keys stand in a command line, as COMMAND INFO describes it and as the router needs it.

A spec first finds where its keys begin (a fixed position, or behind a keyword) and from there which
words are keys (a range with a step, or as many as a number says).
"""

from collections.abc import Callable, Sequence

from attrs import frozen


class InvalidKeySpecError(Exception):
    """The words do not say properly which of them are keys."""


@frozen
class BeginIndex:
    """The keys begin at a fixed position."""

    position: int


@frozen
class BeginKeyword:
    """The keys begin behind a keyword, looked for from `start_from` (negative: backwards)."""

    keyword: str
    start_from: int


@frozen
class BeginUnknown:
    """Nobody can say without knowing the command."""


@frozen
class FindRange:
    """From the beginning to `last_key` (relative; negative: from the end of the line).

    `limit` divides the number of words when `last_key` is -1: 2 means that keys fill the first
    half.
    """

    last_key: int
    key_step: int
    limit: int


@frozen
class FindKeyNumber:
    """A word says how many keys there are, from `first_key` on; both places are relative."""

    key_number_index: int
    first_key: int
    key_step: int


@frozen
class FindUnknown:
    """Nobody can say without knowing the command."""


@frozen
class KeySpec:
    """One group of keys of a command."""

    flags: tuple[str, ...]
    begin: BeginIndex | BeginKeyword | BeginUnknown
    find: FindRange | FindKeyNumber | FindUnknown
    notes: str = ""


def one_key(position: int, *flags: str, notes: str = "") -> KeySpec:
    """A single key at a fixed position."""
    return KeySpec(flags, BeginIndex(position), FindRange(0, 1, 0), notes)


def key_range(
    first: int, *flags: str, last: int = -1, step: int = 1, limit: int = 0, notes: str = ""
) -> KeySpec:
    """Keys from `first` to `last` (relative to `first`; negative: from the end of the line)."""
    return KeySpec(flags, BeginIndex(first), FindRange(last, step, limit), notes)


def keynum(position: int, *flags: str, first_key: int = 1, step: int = 1) -> KeySpec:
    """The word at `position` says how many keys follow it."""
    return KeySpec(flags, BeginIndex(position), FindKeyNumber(0, first_key, step))


def keyword_keys(
    keyword: str, start_from: int, find: FindRange | FindKeyNumber, *flags: str, notes: str = ""
) -> KeySpec:
    """Keys behind a keyword."""
    return KeySpec(flags, BeginKeyword(keyword, start_from), find, notes)


def unknown_keys(*flags: str, notes: str = "") -> KeySpec:
    """There are keys, but where they stand follows no rule."""
    return KeySpec(flags, BeginUnknown(), FindUnknown(), notes)


def _begin(spec: KeySpec, args: Sequence[bytes]) -> int | None:
    """Where the keys of a spec begin in a line; None if its keyword is absent."""
    begin = spec.begin
    if isinstance(begin, BeginIndex):
        return begin.position
    if isinstance(begin, BeginUnknown):
        return None
    count = len(args)
    start = begin.start_from if begin.start_from > 0 else count + begin.start_from
    end = count - 1 if begin.start_from > 0 else 1
    step = 1 if start <= end else -1
    keyword = begin.keyword.encode().upper()
    for position in range(start, end + step, step):
        if 1 <= position < count and args[position].upper() == keyword:
            return position + 1
    return None


def _positions(spec: KeySpec, args: Sequence[bytes], begin: int) -> range:
    """The positions of the keys of a spec that begins at `begin`."""
    count = len(args)
    find = spec.find
    if isinstance(find, FindRange):
        if find.last_key >= 0:
            last = begin + find.last_key
        elif not find.limit:
            last = count + find.last_key
        else:
            last = begin + (count - begin) // find.limit + find.last_key
        return range(begin, last + 1, find.key_step)
    if isinstance(find, FindUnknown):
        return range(0)
    number_at = begin + find.key_number_index
    if number_at >= count:
        raise InvalidKeySpecError
    text = args[number_at]
    if not text.isdigit() or len(text) > 9:
        raise InvalidKeySpecError
    first = begin + find.first_key
    return range(first, first + int(text) * find.key_step, find.key_step)


def key_positions(specs: Sequence[KeySpec], args: Sequence[bytes]) -> list[tuple[int, KeySpec]]:
    """Every key of a command line with the spec that found it; raises InvalidKeySpecError."""
    found: list[tuple[int, KeySpec]] = []
    for spec in specs:
        begin = _begin(spec, args)
        if begin is None:
            continue
        positions = _positions(spec, args, begin)
        if positions and (positions[0] >= len(args) or positions[-1] >= len(args)):
            raise InvalidKeySpecError
        found += [(position, spec) for position in positions]
    return found


def legacy_range(specs: Sequence[KeySpec]) -> tuple[int, int, int]:
    """First key, last key and step as COMMAND INFO shows them for clients that know no specs."""
    first, last, step = 0, 0, 0
    previous_last = 0
    for spec in specs:
        begin, find = spec.begin, spec.find
        if not isinstance(begin, BeginIndex) or not isinstance(find, FindRange):
            continue
        if find.key_step != 1 and first:
            continue
        if first and begin.position != previous_last + 1:
            # A gap between two groups cannot be told in three numbers.
            continue
        own_last = begin.position + find.last_key if find.last_key >= 0 else find.last_key
        if not first:
            first, step = begin.position, find.key_step
        first = min(first, begin.position)
        last = own_last if own_last < 0 or last < 0 else max(last, own_last)
        previous_last = own_last if own_last >= 0 else 1 << 30
    return first, last, step


def has_movable_keys(specs: Sequence[KeySpec]) -> bool:
    """Whether clients must ask COMMAND GETKEYS because three numbers do not tell all keys."""
    incomplete = any("INCOMPLETE" in spec.flags or "incomplete" in spec.flags for spec in specs)
    return incomplete or any(
        not isinstance(spec.begin, BeginIndex) or not isinstance(spec.find, FindRange)
        for spec in specs
    )


def compile_key_finder(
    specs: Sequence[KeySpec],
) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    """A function from a command line to its keys, quick for the common shapes."""
    if len(specs) == 1:
        begin, find = specs[0].begin, specs[0].find
        if isinstance(begin, BeginIndex) and isinstance(find, FindRange) and not find.limit:
            first = begin.position
            if find.last_key == 0:
                return lambda args: args[first : first + 1]
            if find.last_key == -1 and find.key_step == 1:
                return lambda args: args[first:]

    def find_keys(args: Sequence[bytes]) -> Sequence[bytes]:
        return [args[position] for position, _ in key_positions(specs, args)]

    return find_keys
