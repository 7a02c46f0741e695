"""Looking into streams: XINFO, and XPENDING."""

from collections.abc import Callable
from typing import Final, TypeVar

from ...slots.keyspec import one_key
from ..errors import NO_SUCH_KEY, SYNTAX, unknown_form
from ..registry import command, container
from ..resp.encoder import EMPTY_ARRAY, Resp2, array, bulk, integer
from ..session import Session
from ..values.streamentries import Entry
from ..values.streamgroups import NEVER_ACTIVE, Consumer, ConsumerGroup
from ..values.streamvalue import LARGEST_ID, ZERO_ID, StreamValue
from .arguments import required_integer
from .help import help_reply
from .stream_ids import (
    entries_reply,
    entry_reply,
    id_reply,
    no_such_group,
    parse_end,
    parse_start,
    require_group,
)

#: XINFO STREAM FULL shows so many entries unless it is told otherwise.
_FULL_COUNT: Final = 10
_PENDING_SYNTAX: Final = "key group [[IDLE min-idle-time] start:string end:string count [consumer]]"

T = TypeVar("T")

container(
    "XINFO",
    group="stream",
    since="5.0.0",
    summary="Tells how a stream, its consumer groups and their consumers are doing",
)


def _map(encoder: Resp2, pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Names with finished replies."""
    return encoder.map_header(len(pairs)) + b"".join(bulk(name) + reply for name, reply in pairs)


def _or_null(encoder: Resp2, value: T | None, encode: Callable[[T], bytes]) -> bytes:
    return encoder.null if value is None else encode(value)


def _required_stream(session: Session, key: bytes) -> StreamValue:
    stream = session.db.typed(key, StreamValue)
    if stream is None:
        raise NO_SUCH_KEY
    return stream


# --- XINFO -----------------------------------------------------------------------------------


@command(
    "XINFO STREAM",
    group="stream",
    since="5.0.0",
    arity=-3,
    flags="readonly",
    keys=(one_key(2, "RO", "ACCESS"),),
    args="key [FULL [COUNT count]]",
)
def xinfo_stream(session: Session, args: list[bytes]) -> bytes:
    """Tells the counters of a stream; FULL adds entries, groups, consumers and what is pending."""
    stream = _required_stream(session, args[2])
    encoder = session.encoder
    count: int | None = None
    if len(args) > 3:
        count = _full_count(args)
    pairs = [
        (b"length", integer(stream.length)),
        (b"radix-tree-keys", integer(stream.radix_tree_keys)),
        (b"radix-tree-nodes", integer(stream.radix_tree_nodes)),
        (b"last-generated-id", id_reply(stream.last_id)),
        (b"max-deleted-entry-id", id_reply(stream.max_deleted_id)),
        (b"entries-added", integer(stream.entries_added)),
        (b"recorded-first-entry-id", id_reply(stream.first_id)),
    ]
    if count is None:
        pairs += [
            (b"groups", integer(len(stream.groups))),
            (b"first-entry", _edge(encoder, stream.range(ZERO_ID, LARGEST_ID, 1))),
            (b"last-entry", _edge(encoder, stream.reversed_range(LARGEST_ID, ZERO_ID, 1))),
        ]
    else:
        groups = [_full_group(encoder, stream, group, count) for group in stream.sorted_groups()]
        pairs += [
            (b"entries", entries_reply(stream.range(ZERO_ID, LARGEST_ID, count))),
            (b"groups", array(groups)),
        ]
    return _map(encoder, pairs)


def _full_count(args: list[bytes]) -> int:
    """How much FULL is to show of each list; 0: all."""
    words = [word.upper() for word in args[3:5]]
    if len(args) not in (4, 6) or words not in ([b"FULL"], [b"FULL", b"COUNT"]):
        raise unknown_form("XINFO", args[1])
    if len(args) == 4:
        return _FULL_COUNT
    count = required_integer(args[5])
    return count if count >= 0 else _FULL_COUNT


def _edge(encoder: Resp2, entries: list[Entry]) -> bytes:
    return entry_reply(entries[0]) if entries else encoder.null


def _full_group(encoder: Resp2, stream: StreamValue, group: ConsumerGroup, count: int) -> bytes:
    pending: list[bytes] = []
    for entry_id, known in group.pending.items():
        numbers = integer(known.delivered_at_ms) + integer(known.delivery_count)
        pending.append(b"*4\r\n" + id_reply(entry_id) + bulk(known.consumer.name) + numbers)
        if len(pending) == count:
            break
    consumers = [_full_consumer(encoder, one, count) for one in group.sorted_consumers()]
    return _map(
        encoder,
        [
            (b"name", bulk(group.name)),
            (b"last-delivered-id", id_reply(group.last_id)),
            (b"entries-read", _or_null(encoder, group.entries_read, integer)),
            (b"lag", _or_null(encoder, stream.maybe_lag(group), integer)),
            (b"pel-count", integer(len(group.pending))),
            (b"pending", array(pending)),
            (b"consumers", array(consumers)),
        ],
    )


def _full_consumer(encoder: Resp2, consumer: Consumer, count: int) -> bytes:
    pending: list[bytes] = []
    for entry_id, known in consumer.pending.items():
        numbers = integer(known.delivered_at_ms) + integer(known.delivery_count)
        pending.append(b"*3\r\n" + id_reply(entry_id) + numbers)
        if len(pending) == count:
            break
    return _map(
        encoder,
        [
            (b"name", bulk(consumer.name)),
            (b"seen-time", integer(consumer.seen_time_ms)),
            (b"active-time", integer(consumer.active_time_ms)),
            (b"pel-count", integer(len(consumer.pending))),
            (b"pending", array(pending)),
        ],
    )


@command(
    "XINFO GROUPS",
    group="stream",
    since="5.0.0",
    arity=3,
    flags="readonly",
    keys=(one_key(2, "RO", "ACCESS"),),
    args="key",
)
def xinfo_groups(session: Session, args: list[bytes]) -> bytes:
    """Lists the consumer groups of a stream."""
    stream = _required_stream(session, args[2])
    encoder = session.encoder
    groups = [
        _map(
            encoder,
            [
                (b"name", bulk(group.name)),
                (b"consumers", integer(len(group.consumers))),
                (b"pending", integer(len(group.pending))),
                (b"last-delivered-id", id_reply(group.last_id)),
                (b"entries-read", _or_null(encoder, group.entries_read, integer)),
                (b"lag", _or_null(encoder, stream.maybe_lag(group), integer)),
            ],
        )
        for group in stream.sorted_groups()
    ]
    return array(groups)


@command(
    "XINFO CONSUMERS",
    group="stream",
    since="5.0.0",
    arity=4,
    flags="readonly",
    keys=(one_key(2, "RO", "ACCESS"),),
    args="key group",
    tips=("nondeterministic_output",),
)
def xinfo_consumers(session: Session, args: list[bytes]) -> bytes:
    """Lists the consumers of a group."""
    stream = _required_stream(session, args[2])
    group = stream.groups.get(args[3])
    if group is None:
        raise no_such_group(args[2], args[3])
    encoder = session.encoder
    now_ms = session.machine.clock.now_ms
    consumers: list[bytes] = []
    for consumer in group.sorted_consumers():
        active_ms = consumer.active_time_ms
        inactive_ms = NEVER_ACTIVE if active_ms == NEVER_ACTIVE else now_ms - active_ms
        pairs = [
            (b"name", bulk(consumer.name)),
            (b"pending", integer(len(consumer.pending))),
            (b"idle", integer(max(now_ms - consumer.seen_time_ms, 0))),
            (b"inactive", integer(inactive_ms)),
        ]
        consumers.append(_map(encoder, pairs))
    return array(consumers)


@command(
    "XINFO HELP",
    group="stream",
    since="5.0.0",
    arity=2,
    flags="loading stale",
)
def xinfo_help(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("XINFO")


# --- XPENDING --------------------------------------------------------------------------------


@command(
    "XPENDING",
    group="stream",
    since="5.0.0",
    arity=-3,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args=_PENDING_SYNTAX,
    complexity="O(N) in the number of entries returned; without a range, of consumers",
    tips=("nondeterministic_output",),
)
def xpending(session: Session, args: list[bytes]) -> bytes:
    """Tells what is pending in a group: in sum, or entry by entry."""
    if len(args) == 3:
        _, group = require_group(session.db, args[1], args[2])
        return _pending_summary(session.encoder, group)
    if not 6 <= len(args) <= 9:
        raise SYNTAX
    position = 3
    idle_min_ms = 0
    if args[3].upper() == b"IDLE":
        idle_min_ms = required_integer(args[4])
        if len(args) < 8:
            raise SYNTAX
        position = 5
    count = required_integer(args[position + 2])
    start = parse_start(args[position])
    end = parse_end(args[position + 1])
    _, group = require_group(session.db, args[1], args[2])
    known = group.pending
    if position + 3 < len(args):
        consumer = group.consumers.get(args[position + 3])
        if consumer is None:
            return EMPTY_ARRAY
        known = consumer.pending
    if count <= 0:
        return EMPTY_ARRAY
    now_ms = session.machine.clock.now_ms
    replies: list[bytes] = []
    for entry_id, pending in known.items(start, end):
        idle_ms = now_ms - pending.delivered_at_ms
        if idle_min_ms and idle_ms < idle_min_ms:
            continue
        numbers = integer(max(idle_ms, 0)) + integer(pending.delivery_count)
        replies.append(b"*4\r\n" + id_reply(entry_id) + bulk(pending.consumer.name) + numbers)
        if len(replies) == count:
            break
    return array(replies)


def _pending_summary(encoder: Resp2, group: ConsumerGroup) -> bytes:
    first_id = group.pending.maybe_first()
    last_id = group.pending.maybe_last()
    if first_id is None or last_id is None:
        return array([integer(0), encoder.null, encoder.null, encoder.null_array])
    consumers = [
        b"*2\r\n" + bulk(consumer.name) + bulk(b"%d" % len(consumer.pending))
        for consumer in group.sorted_consumers()
        if len(consumer.pending)
    ]
    edges = [id_reply(first_id), id_reply(last_id)]
    return array([integer(len(group.pending)), *edges, array(consumers)])
