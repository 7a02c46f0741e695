"""Streams as such: adding, deleting and reading ranges of entries, and the counters.

Replicas are told the ID that `*` stood for, and which entries went where that depends on the
consumer groups.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from ...slots.keyspec import one_key
from ..batches import Replies, encoded, maybe_columns, maybe_shared, run_singly
from ..database import Value
from ..errors import NO_SUCH_KEY, SYNTAX, CommandError, wrong_arity
from ..registry import command
from ..resp.alike import Requests
from ..resp.bulks import flat_row
from ..resp.encoder import EMPTY_ARRAY, OK, ZERO, bulk, integer
from ..session import Session
from ..values.numbers import parse_integer
from ..values.streamentries import StreamId
from ..values.streamvalue import LARGEST_ID, ZERO_ID, StreamValue
from .arguments import required_integer
from .stream_ids import (
    LARGEST_SEQUENCE,
    announce,
    entries_reply,
    id_reply,
    id_text,
    parse_end,
    parse_start,
    parse_strict_id,
)
from .stream_trimming import (
    AUTOMATIC,
    REFERENCE_RULES,
    REFERENCES_SYNTAX,
    TRIM_SYNTAX,
    TrimOptions,
    deletion_command,
    exact_words,
    is_referenced,
    parse_options,
    trim,
)

#: All fields and values of an entry together.
_LONGEST_ENTRY: Final = 1 << 30
_ID_IS_ZERO: Final = CommandError(b"ERR The ID specified in XADD must be greater than 0-0")
_ID_TOO_SMALL: Final = CommandError(
    b"ERR The ID specified in XADD is equal or smaller than the target stream top item"
)
_EXHAUSTED: Final = CommandError(
    b"ERR The stream has exhausted the last possible ID, unable to add more items"
)
_ENTRY_TOO_LARGE: Final = CommandError(b"ERR Elements are too large to be stored")
_COUNT_OF_IDS: Final = CommandError(b"ERR Number of IDs must be a positive integer")
_COUNT_OF_IDS_WRONG: Final = CommandError(
    b"ERR The `numids` parameter must match the number of arguments"
)
_NO_IDS: Final = CommandError(b"ERR IDS option is required")
_TOP_ITEM: Final = CommandError(
    b"ERR The ID specified in XSETID is smaller than the target stream top item"
)
_BELOW_GIVEN_DELETED: Final = CommandError(
    b"ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
_BELOW_DELETED: Final = CommandError(
    b"ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
)
_ADDED_NEGATIVE: Final = CommandError(b"ERR entries_added must be positive")
_ADDED_TOO_SMALL: Final = CommandError(
    b"ERR The entries_added specified in XSETID is smaller than the target stream length"
)


# --- adding ----------------------------------------------------------------------------------


def _maybe_added(
    stream: StreamValue, columns: Sequence[Sequence[bytes]], now_ms: int
) -> list[bytes] | None:
    """The IDs of entries that were all added to one stream; None: nothing is done."""
    count = len(columns[2])
    if columns[2].count(b"*") != count:
        return None
    entry_id = stream.maybe_next_id(now_ms)
    if (
        entry_id is None
        or entry_id[1] + count > LARGEST_SEQUENCE
        or sum(map(len, chain.from_iterable(columns[3:]))) > _LONGEST_ENTRY
    ):
        return None
    stream.append_run(entry_id, list(zip(*columns[3:], strict=True)))
    milliseconds, sequence = entry_id
    text_of = (b"%d-%%d" % milliseconds).__mod__
    return list(map(text_of, range(sequence, sequence + count)))


def _maybe_add(home: dict[bytes, Value], args: list[bytes], now_ms: int) -> bytes | None:
    """The reply to the plainest XADD, with fields as there must be; None: nothing is done."""
    stream = home.get(args[1])
    if type(stream) is not StreamValue or args[2] != b"*":
        return None
    entry_id = stream.maybe_next_id(now_ms)
    fields = tuple(args[3:])
    if entry_id is None or sum(map(len, fields)) > _LONGEST_ENTRY:
        return None
    stream.append(entry_id, fields)
    return bulk(b"%d-%d" % entry_id)


def _xadd_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of XADDs, equally long and with IDs from the clock, in one go."""
    length = len(requests[0])
    if length < 5 or not length & 1:
        return None
    columns = maybe_columns(requests, length)
    if columns is None:
        return None
    keys = columns[1]
    now_ms = session.machine.clock.now_ms
    stream = maybe_shared(session, keys)
    texts = _maybe_added(stream, columns, now_ms) if type(stream) is StreamValue else None
    if texts is not None:
        session.db.effects.dirty += len(texts)
        return Replies(flat_row, texts, bulk)
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    added = 0
    for home, args in zip(homes, requests, strict=True):
        reply = _maybe_add(home, args, now_ms)
        if reply is None:
            reply = run_singly(session, b"XADD", args)
        else:
            added += 1
        replies.append(reply)
    session.db.effects.dirty += added
    return encoded(replies)


@command(
    "XADD",
    group="stream",
    since="5.0.0",
    arity=-5,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "UPDATE"),),
    args=f"key [NOMKSTREAM] {REFERENCES_SYNTAX} [{TRIM_SYNTAX}] "
    "id-selector:oneof(*|id) data:block(field value)...",
    complexity="O(1), and O(N) in the number of entries that are trimmed",
    tips=("nondeterministic_output",),
    batch=_xadd_many,
)
def xadd(session: Session, args: list[bytes]) -> bytes:
    """Adds an entry at the end of a stream; returns its ID."""
    machine, db = session.machine, session.db
    key = args[1]
    home = db.maybe_home(key)
    if home is not None and len(args) & 1 and not db.effects.observed:
        reply = _maybe_add(home, args, machine.clock.now_ms)
        if reply is not None:
            db.effects.dirty += 1
            return reply
    options = AUTOMATIC if args[2] == b"*" else parse_options(machine, args, True)
    fields = tuple(args[options.id_position + 1 :])
    if len(fields) < 2 or len(fields) % 2:
        raise wrong_arity("xadd")
    if options.entry_id == ZERO_ID and options.has_sequence:
        raise _ID_IS_ZERO
    stream = db.typed_for_write(key, StreamValue)
    is_new = stream is None
    if stream is None:
        if not options.may_create:
            return session.encoder.null
        stream = StreamValue(machine.limits)
    entry_id = _choose_id(stream, options, machine.clock.now_ms)
    if sum(map(len, fields)) > _LONGEST_ENTRY:
        raise _ENTRY_TOO_LARGE
    stream.append(entry_id, fields)
    if is_new:
        db.put(key, stream)
    trimmed, gone = trim(stream, options) if options.strategy else (0, [])
    db.changed(key, "t", b"xadd")
    effects = db.effects
    if effects.observed:
        if trimmed:
            effects.record_event(db.index, key, "t", b"xtrim")
        before = args[: options.id_position]
        if options.is_approximate or options.references == b"ACKED":
            before = [b"XADD", key, *exact_words(stream, options)]
        effects.propagate_instead(db.index, [*before, id_text(entry_id), *fields])
        if gone:
            effects.propagate_instead(db.index, deletion_command(key, gone))
    return id_reply(entry_id)


def _choose_id(stream: StreamValue, options: TrimOptions, now_ms: int) -> StreamId:
    """The ID of the new entry, which must be the highest ever."""
    last_id = stream.last_id
    if last_id == LARGEST_ID:
        raise _EXHAUSTED
    entry_id = options.entry_id
    if entry_id is None:
        automatic = stream.maybe_next_id(now_ms)
        assert automatic is not None
        return automatic
    if not options.has_sequence and entry_id[0] == last_id[0] and last_id[1] < LARGEST_SEQUENCE:
        return last_id[0], last_id[1] + 1
    if entry_id <= last_id:
        raise _ID_TOO_SMALL
    return entry_id


# --- deleting --------------------------------------------------------------------------------


@command(
    "XDEL",
    group="stream",
    since="5.0.0",
    arity=-3,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key id...",
    complexity="O(1) for each entry",
)
def xdel(session: Session, args: list[bytes]) -> bytes:
    """Deletes entries by their IDs; returns how many there were."""
    db = session.db
    key = args[1]
    stream = db.typed_for_write(key, StreamValue)
    if stream is None:
        return ZERO
    ids = [parse_strict_id(text) for text in args[2:]]
    deleted = sum(map(stream.delete, ids))
    if deleted:
        db.changed(key, "t", b"xdel")
    return integer(deleted)


def parse_rule_and_ids(args: list[bytes], position: int) -> tuple[bytes, list[StreamId]]:
    """Read `[KEEPREF|DELREF|ACKED] IDS numids id ...`, in either order."""
    rule = b""
    texts: list[bytes] | None = None
    while position < len(args):
        word = args[position].upper()
        if word in REFERENCE_RULES and not rule:
            rule = word
            position += 1
        elif word == b"IDS" and position + 1 < len(args):
            count = parse_integer(args[position + 1])
            if count is None or count < 1:
                raise _COUNT_OF_IDS
            position += 2
            if count > len(args) - position:
                raise _COUNT_OF_IDS_WRONG
            texts = args[position : position + count]
            position += count
        else:
            raise SYNTAX
    if texts is None:
        raise _NO_IDS
    return rule or b"KEEPREF", [parse_strict_id(text) for text in texts]


class Removals:
    """Entries that one command deletes, and references that go with them, for replicas to hear."""

    def __init__(self, stream: StreamValue) -> None:
        self._stream = stream
        self.deleted: list[StreamId] = []
        self._acknowledged: dict[bytes, list[StreamId]] = {}

    def delete(self, entry_id: StreamId) -> bool:
        """Delete an entry; False if there is none."""
        if not self._stream.delete(entry_id):
            return False
        self.deleted.append(entry_id)
        return True

    def acknowledge(self, entry_id: StreamId, group_name: bytes) -> bool:
        """Take an entry off the pending ones of a group; False if it was not pending."""
        if not self._stream.groups[group_name].acknowledge(entry_id):
            return False
        self._acknowledged.setdefault(group_name, []).append(entry_id)
        return True

    def acknowledge_everywhere(self, entry_id: StreamId) -> None:
        """Take an entry off the pending ones of all groups."""
        for name in self._stream.groups:
            self.acknowledge(entry_id, name)

    def finish(self, session: Session, key: bytes) -> None:
        """Tell the world."""
        db = session.db
        if self.deleted:
            db.changed(key, "t", b"xdel")
        elif self._acknowledged:
            announce(db, key)
        effects = db.effects
        if effects.observed:
            for name, ids in self._acknowledged.items():
                effects.propagate_instead(db.index, [b"XACK", key, name, *map(id_text, ids)])
            if self.deleted:
                effects.propagate_instead(db.index, deletion_command(key, self.deleted))


@command(
    "XDELEX",
    group="stream",
    since="8.2.0",
    arity=-5,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args=f"key {REFERENCES_SYNTAX} ids:block(IDS numids:integer id...)",
    complexity="O(1) for each entry and consumer group",
)
def xdelex(session: Session, args: list[bytes]) -> bytes:
    """Deletes entries unless, or although, groups have them pending; returns a code for each."""
    rule, ids = parse_rule_and_ids(args, 2)
    key = args[1]
    stream = session.db.typed_for_write(key, StreamValue)
    if stream is None:
        return b"*%d\r\n%b" % (len(ids), b":-1\r\n" * len(ids))
    removals = Removals(stream)
    outcomes: list[bytes] = []
    for entry_id in ids:
        if rule == b"DELREF":
            removals.acknowledge_everywhere(entry_id)
        if rule == b"ACKED" and stream.has_entry(entry_id) and is_referenced(stream, entry_id):
            outcomes.append(b":2\r\n")
        else:
            outcomes.append(b":1\r\n" if removals.delete(entry_id) else b":-1\r\n")
    removals.finish(session, key)
    return b"*%d\r\n%b" % (len(outcomes), b"".join(outcomes))


# --- reading ---------------------------------------------------------------------------------


@command(
    "XLEN",
    group="stream",
    since="5.0.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key",
)
def xlen(session: Session, args: list[bytes]) -> bytes:
    """Returns how many entries a stream has."""
    stream = session.db.typed(args[1], StreamValue)
    return ZERO if stream is None else integer(stream.length)


@command(
    "XRANGE",
    group="stream",
    since="5.0.0",
    arity=-4,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key start:string end:string [COUNT count]",
    complexity="O(N) in the number of entries returned",
)
def xrange(session: Session, args: list[bytes]) -> bytes:
    """Returns the entries between two IDs."""
    return _range(session, args, args[2], args[3], False)


@command(
    "XREVRANGE",
    group="stream",
    since="5.0.0",
    arity=-4,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key end:string start:string [COUNT count]",
    complexity="O(N) in the number of entries returned",
)
def xrevrange(session: Session, args: list[bytes]) -> bytes:
    """Returns the entries between two IDs, the last one first."""
    return _range(session, args, args[3], args[2], True)


def _range(
    session: Session, args: list[bytes], start_text: bytes, end_text: bytes, is_reversed: bool
) -> bytes:
    start = parse_start(start_text)
    end = parse_end(end_text)
    limit: int | None = None
    for position in range(4, len(args), 2):
        if args[position].upper() != b"COUNT" or position + 1 == len(args):
            raise SYNTAX
        limit = required_integer(args[position + 1])
    stream = session.db.typed(args[1], StreamValue)
    if stream is None:
        return EMPTY_ARRAY
    if limit is not None and limit <= 0:
        return session.encoder.null_array
    if is_reversed:
        return entries_reply(stream.reversed_range(end, start, limit or 0))
    return entries_reply(stream.range(start, end, limit or 0))


# --- the counters ----------------------------------------------------------------------------


@command(
    "XSETID",
    group="stream",
    since="5.0.0",
    arity=-3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "UPDATE"),),
    args="key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
)
def xsetid(session: Session, args: list[bytes]) -> bytes:
    """Sets the last ID of a stream, and its counters, as copying tools need it."""
    last_id = parse_strict_id(args[2])
    entries_added: int | None = None
    max_deleted_id = ZERO_ID
    for position in range(3, len(args), 2):
        word = args[position].upper()
        if word == b"ENTRIESADDED" and position + 1 < len(args):
            entries_added = required_integer(args[position + 1])
            if entries_added < 0:
                raise _ADDED_NEGATIVE
        elif word == b"MAXDELETEDID" and position + 1 < len(args):
            max_deleted_id = parse_strict_id(args[position + 1])
            if last_id < max_deleted_id:
                raise _BELOW_GIVEN_DELETED
        else:
            raise SYNTAX
    db = session.db
    key = args[1]
    stream = db.typed_for_write(key, StreamValue)
    if stream is None:
        raise NO_SUCH_KEY
    if last_id < stream.max_deleted_id:
        raise _BELOW_DELETED
    top_id = stream.maybe_last_entry_id()
    if top_id is not None:
        if last_id < top_id:
            raise _TOP_ITEM
        if entries_added is not None and stream.length > entries_added:
            raise _ADDED_TOO_SMALL
    stream.last_id = last_id
    if entries_added is not None:
        stream.entries_added = entries_added
    if max_deleted_id != ZERO_ID:
        stream.max_deleted_id = max_deleted_id
    announce(db, key, b"xsetid")
    return OK
