"""Where the keys stand in a command line, as COMMAND INFO describes it and as the router needs it.

A spec first finds where its keys begin (a fixed position, or behind a keyword) and from there which
words are keys (a range with a step, or as many as a number says).

Rules:
* Position 0 is the command's name; a sub-command's name takes a position too.
* `key_positions` is strict and serves COMMAND GETKEYS. The finders of `compile_key_finder` serve
  routing and never raise: of a line whose keys cannot be told there are none, so it is served where
  it is and the command itself finds the words to complain.
* What no spec can say (SORT's STORE anywhere in the line, MIGRATE's empty key before KEYS) is found
  by a function of the command's own, kept beside the spec with `found_by`; clients see the spec.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import evolve, field, frozen

#: From a command line to the positions of keys.
OwnFinder = Callable[[Sequence[bytes]], Sequence[int]]
#: From a command line to its keys.
KeyFinder = Callable[[Sequence[bytes]], Sequence[bytes]]


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
    own_finder: OwnFinder | None = field(default=None, eq=False, repr=False)

    def has_flag(self, name: str) -> bool:
        """Whether the spec has a flag, in any spelling."""
        return name in self.flags or name.lower() in self.flags


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


def found_by(spec: KeySpec, own_finder: OwnFinder) -> KeySpec:
    """The spec as clients see it, with a function that finds the keys in truth."""
    return evolve(spec, own_finder=own_finder)


def _maybe_begin(spec: KeySpec, args: Sequence[bytes]) -> int | None:
    """Where the keys of a spec begin in a line; None if its keyword is absent."""
    begin = spec.begin
    if isinstance(begin, BeginIndex):
        return begin.position
    if isinstance(begin, BeginUnknown):
        return None
    count = len(args)
    if begin.start_from > 0:
        places = range(begin.start_from, count - 1)
    else:
        # Backwards, and never down to the first word behind the name.
        places = range(count + begin.start_from, 1, -1)
    keyword = begin.keyword.encode().upper()
    for position in places:
        if position < count and args[position].upper() == keyword:
            return position + 1
    return None


def _positions(spec: KeySpec, args: Sequence[bytes], first: int, *, is_only: bool) -> range:
    """The positions of the keys of a spec that begins at `first`; `is_only`: there is no other."""
    count = len(args)
    find = spec.find
    if isinstance(find, FindRange):
        if find.last_key >= 0:
            last = first + find.last_key
        elif find.limit:
            last = first + (count - first) // find.limit + find.last_key
        else:
            last = count + find.last_key
    elif isinstance(find, FindKeyNumber):
        number_at = first + find.key_number_index
        if number_at >= count:
            raise InvalidKeySpecError
        key_count = _key_count_untrusted(args[number_at])
        first += find.first_key
        if key_count == 0 and is_only:
            # EVAL script 0: well-formed, and without keys. ZUNIONSTORE key 0 is not.
            return range(0)
        last = first + key_count - 1
    else:
        raise InvalidKeySpecError
    if last >= count or last < first:
        raise InvalidKeySpecError
    return range(first, last + 1, find.key_step)


def _key_count_untrusted(word: bytes) -> int:
    # Nine digits: more keys than any line has words, and nothing that int() would sweat over.
    if not word.isdigit() or len(word) > 9:
        raise InvalidKeySpecError
    return int(word)


def _positions_of(spec: KeySpec, args: Sequence[bytes], *, is_only: bool) -> Sequence[int]:
    if spec.own_finder is not None:
        return spec.own_finder(args)
    first = _maybe_begin(spec, args)
    return () if first is None else _positions(spec, args, first, is_only=is_only)


def key_positions(specs: Sequence[KeySpec], args: Sequence[bytes]) -> list[tuple[int, KeySpec]]:
    """Every key of a command line with the spec that found it; raises InvalidKeySpecError.

    Words that only look like keys (`NOT_KEY`: shard channels) are no keys here, but they are
    routed.
    """
    is_only = len(specs) == 1
    return [
        (position, spec)
        for spec in specs
        if not spec.has_flag("NOT_KEY")
        for position in _positions_of(spec, args, is_only=is_only)
    ]


def legacy_range(specs: Sequence[KeySpec]) -> tuple[int, int, int]:
    """First key, last key and step as COMMAND INFO shows them for clients that know no specs.

    One range stands as it is. Of several, those with step 1 that follow each other without a gap
    are joined; the others cannot be told in three numbers.
    """
    if len(specs) == 1 and _is_plain_range(specs[0]):
        first, last, step = _numbers(specs[0])
        return first, last, step
    joined: list[tuple[int, int]] = []
    for spec in specs:
        if not _is_plain_range(spec):
            continue
        first, last, step = _numbers(spec)
        follows = not joined or joined[-1][1] == first - 1
        if step == 1 and follows:
            joined.append((first, last))
    if not joined:
        return 0, 0, 0
    return joined[0][0], joined[-1][1], 1


def has_movable_keys(specs: Sequence[KeySpec]) -> bool:
    """Whether clients must ask COMMAND GETKEYS because three numbers do not tell all keys."""
    if any(spec.has_flag("INCOMPLETE") or not _is_plain_range(spec) for spec in specs):
        return True
    if len(specs) < 2:
        return False
    numbers = [_numbers(spec) for spec in specs]
    has_steps = any(step != 1 for _, _, step in numbers)
    return has_steps or any(before[1] != after[0] - 1 for before, after in pairwise(numbers))


def _is_plain_range(spec: KeySpec) -> bool:
    return isinstance(spec.begin, BeginIndex) and isinstance(spec.find, FindRange)


def _numbers(spec: KeySpec) -> tuple[int, int, int]:
    """First key, last key (negative: from the end) and step of a plain range."""
    assert isinstance(spec.begin, BeginIndex)
    assert isinstance(spec.find, FindRange)
    first, last = spec.begin.position, spec.find.last_key
    return first, last if last < 0 else first + last, spec.find.key_step


def compile_key_finder(specs: Sequence[KeySpec]) -> KeyFinder:
    """A function from a command line to what it is routed by, quick for the common shapes."""
    if len(specs) == 1:
        simple = _maybe_simple_finder(specs[0])
        if simple is not None:
            return simple

    is_only = len(specs) == 1

    def find_keys(args: Sequence[bytes]) -> Sequence[bytes]:
        found: list[bytes] = []
        for spec in specs:
            if spec.own_finder is None and isinstance(spec.find, FindUnknown):
                continue
            try:
                positions = _positions_of(spec, args, is_only=is_only)
            except InvalidKeySpecError:
                return ()
            found += [args[position] for position in positions]
        return found

    return find_keys


def _maybe_simple_finder(spec: KeySpec) -> KeyFinder | None:
    """A slice of the line does for most commands."""
    if spec.own_finder is not None or not _is_plain_range(spec):
        return None
    assert isinstance(spec.find, FindRange)
    if spec.find.limit:
        return None
    first, last, step = _numbers(spec)
    if first == 1 and last == 1:
        return lambda args: args[1:2]
    end = last + 1 or None
    if step == 1:
        return lambda args: args[first:end]
    return lambda args: args[first:end:step]
