"""Trimming streams: the options that XADD and XTRIM share, and XTRIM.

What replicas get is exact: in place of "about so many" the length or the first ID that trimming
ended with. Where it depends on the consumer groups which entries go (ACKED), replicas are simply
told which ones went.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

from ...slots.keyspec import one_key
from ..errors import NOT_AN_INTEGER, SYNTAX, CommandError
from ..registry import command
from ..resp.encoder import ZERO, integer
from ..session import Session
from ..values.numbers import parse_integer
from ..values.streamentries import StreamId
from ..values.streamvalue import LARGEST_ID, ZERO_ID, StreamValue, maybe_id_before
from .arguments import required_integer
from .stream_ids import id_text, parse_new_id, parse_strict_id

if TYPE_CHECKING:
    from ..machine import Machine

_STRATEGIES: Final = frozenset({b"MAXLEN", b"MINID"})
REFERENCE_RULES: Final = frozenset({b"KEEPREF", b"DELREF", b"ACKED"})
#: Approximate trimming deletes no more than so many nodes, or entries, at once.
_TRIMMED_NODES_MAX: Final = 100
_TRIMMED_UNBOUNDED: Final = 10_000
_TRIMMED_MAX: Final = 1_000_000
_TWO_STRATEGIES: Final = CommandError(
    b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
)
_MAXLEN_NEGATIVE: Final = CommandError(b"ERR The MAXLEN argument must be >= 0.")
_LIMIT_NEGATIVE: Final = CommandError(b"ERR The LIMIT argument must be >= 0.")
_LIMIT_ALONE: Final = CommandError(
    b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
)
_LIMIT_OF_EXACT: Final = CommandError(
    b"ERR syntax error, LIMIT cannot be used without the special ~ option"
)
_NO_STRATEGY: Final = CommandError(
    b"ERR syntax error, XTRIM must be called with a trimming strategy"
)
TRIM_SYNTAX: Final = "trim:block(strategy:oneof(MAXLEN|MINID) [=|~] threshold [LIMIT count])"
REFERENCES_SYNTAX: Final = "[condition:oneof(KEEPREF|DELREF|ACKED)]"


# --- the options of XADD and XTRIM -----------------------------------------------------------


@define
class TrimOptions:
    """What stands before the ID of XADD, and all that stands behind the key of XTRIM."""

    #: MAXLEN or MINID; empty: nothing is trimmed.
    strategy: bytes = b""
    longest: int = 0
    lowest: StreamId = ZERO_ID
    is_approximate: bool = False
    #: None: not given; 0: none.
    limit: int | None = None
    may_create: bool = True
    #: What becomes of references to trimmed entries; empty is KEEPREF.
    references: bytes = b""
    #: None stands for `*`.
    entry_id: StreamId | None = None
    has_sequence: bool = True
    id_position: int = 0


#: The options of the plainest XADD.
AUTOMATIC: Final = TrimOptions(id_position=2)


def parse_options(machine: "Machine", args: list[bytes], is_adding: bool) -> TrimOptions:
    """Read what stands behind the key; for XADD (`is_adding`) up to the ID."""
    options = TrimOptions()
    count = len(args)
    position = 2
    while position < count:
        argument = args[position]
        if is_adding and argument == b"*":
            break
        word = argument.upper()
        has_more = position + 1 < count
        if word in _STRATEGIES and has_more:
            position = _parse_threshold(options, word, args, position)
        elif word == b"LIMIT" and has_more:
            position += 1
            options.limit = parse_integer(args[position])
            if options.limit is None:
                raise NOT_AN_INTEGER
            if options.limit < 0:
                raise _LIMIT_NEGATIVE
        elif is_adding and word == b"NOMKSTREAM":
            options.may_create = False
        elif word in REFERENCE_RULES and not options.references:
            options.references = word
        elif is_adding:
            options.entry_id, options.has_sequence = parse_new_id(argument)
            break
        else:
            raise SYNTAX
        position += 1
    options.id_position = position
    if options.limit and not options.strategy:
        raise _LIMIT_ALONE
    if not is_adding and not options.strategy:
        raise _NO_STRATEGY
    if options.limit is not None and not options.is_approximate:
        raise _LIMIT_OF_EXACT
    if options.limit is None and options.is_approximate:
        options.limit = _default_limit(machine.limits.stream_node_max_entries)
    return options


def _parse_threshold(
    options: TrimOptions, strategy: bytes, args: list[bytes], position: int
) -> int:
    """Read `[=|~] threshold`; returns the position of the threshold."""
    if options.strategy:
        raise _TWO_STRATEGIES
    options.strategy = strategy
    position += 1
    if args[position] in (b"~", b"=") and position + 1 < len(args):
        options.is_approximate = args[position] == b"~"
        position += 1
    if strategy == b"MINID":
        options.lowest = parse_strict_id(args[position])
        return position
    longest = required_integer(args[position])
    if longest < 0:
        raise _MAXLEN_NEGATIVE
    options.longest = longest
    return position


def _default_limit(node_max_entries: int) -> int:
    limit = _TRIMMED_NODES_MAX * node_max_entries
    return min(limit, _TRIMMED_MAX) if limit > 0 else _TRIMMED_UNBOUNDED


# --- trimming --------------------------------------------------------------------------------


def is_referenced(stream: StreamValue, entry_id: StreamId) -> bool:
    """Whether some group still has an entry pending, or is yet to read it."""
    return any(
        entry_id > group.last_id or entry_id in group.pending for group in stream.groups.values()
    )


def trim(stream: StreamValue, options: TrimOptions) -> tuple[int, list[StreamId]]:
    """Trim: how many entries went, and (for ACKED alone) which."""
    if options.references == b"ACKED":
        gone = _trimmable(stream, options)
        for entry_id in gone:
            stream.delete(entry_id)
        return len(gone), gone
    first_id = stream.first_id
    limit = options.limit or 0
    if options.strategy == b"MAXLEN":
        count = stream.trim_to_length(options.longest, options.is_approximate, limit)
    else:
        count = stream.trim_below(options.lowest, options.is_approximate, limit)
    if count and options.references == b"DELREF":
        end = maybe_id_before(stream.first_id) if stream.length else stream.last_id
        for group in stream.groups.values():
            for entry_id in [known for known, _ in group.pending.items(first_id, end)]:
                group.acknowledge(entry_id)
    return count, []


def _trimmable(stream: StreamValue, options: TrimOptions) -> list[StreamId]:
    """The entries that ACKED lets go, exactly: `~` would allow more to stay, but asks for none."""
    most = stream.length
    if options.strategy == b"MAXLEN":
        most = max(stream.length - options.longest, 0)
    if options.limit:
        most = min(most, options.limit)
    found: list[StreamId] = []
    for entry_id, _ in stream:
        if len(found) >= most or (options.strategy == b"MINID" and entry_id >= options.lowest):
            break
        if not is_referenced(stream, entry_id):
            found.append(entry_id)
    return found


def exact_words(stream: StreamValue, options: TrimOptions) -> list[bytes]:
    """The options that trim another copy of the stream as this one was; none if IDs must do it."""
    if options.references == b"ACKED":
        return []
    if options.strategy == b"MAXLEN":
        threshold = b"%d" % stream.length
    else:
        threshold = id_text(stream.first_id if stream.length else LARGEST_ID)
    rule = [options.references] if options.references == b"DELREF" else []
    return [options.strategy, b"=", threshold, *rule]


def deletion_command(key: bytes, gone: Sequence[StreamId]) -> list[bytes]:
    """What deletes the same entries elsewhere."""
    return [b"XDEL", key, *map(id_text, gone)]


@command(
    "XTRIM",
    group="stream",
    since="5.0.0",
    arity=-4,
    flags="write",
    keys=(one_key(1, "RW", "DELETE"),),
    args=f"key {TRIM_SYNTAX} {REFERENCES_SYNTAX}",
    complexity="O(N) in the number of entries that are trimmed; cheap for whole nodes",
    tips=("nondeterministic_output",),
)
def xtrim(session: Session, args: list[bytes]) -> bytes:
    """Deletes the oldest entries of a stream; returns how many went."""
    options = parse_options(session.machine, args, False)
    db = session.db
    key = args[1]
    stream = db.typed_for_write(key, StreamValue)
    if stream is None:
        return ZERO
    trimmed, gone = trim(stream, options)
    if trimmed:
        db.changed(key, "t", b"xtrim")
        if gone:
            db.effects.propagate_instead(db.index, deletion_command(key, gone))
        elif options.is_approximate:
            exact = [b"XTRIM", key, *exact_words(stream, options)]
            db.effects.propagate_instead(db.index, exact)
    return integer(trimmed)
