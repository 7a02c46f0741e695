"""Claiming: consumers take over what others have pending.

Replicas never judge by idle time: they get one XCLAIM for each entry, with its new owner, its time
and its count, and FORCE.
"""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import COUNT_OPTION_NOT_POSITIVE, SYNTAX, CommandError, as_c_string
from ..registry import command
from ..resp.encoder import array
from ..session import Session
from ..values.numbers import parse_integer
from ..values.streamentries import StreamId
from ..values.streamgroups import Consumer, ConsumerGroup, Pending
from ..values.streamvalue import ZERO_ID
from .stream_ids import (
    claim_command,
    create_consumer_command,
    entry_reply,
    id_reply,
    maybe_parse_id,
    meet_consumer,
    parse_start,
    parse_strict_id,
    require_group,
    set_id_command,
)

_AUTOCLAIM_COUNT: Final = 100
_AUTOCLAIM_COUNT_MAX: Final = (2**63 - 1) // 16
#: How many pending entries XAUTOCLAIM looks at for each one that it may return.
_ATTEMPTS_PER_ENTRY: Final = 10


class _Claims:
    """What one command does to the pending entries of a group, for replicas to hear."""

    def __init__(self, session: Session, key: bytes, group: ConsumerGroup, name: bytes) -> None:
        self._db = session.db
        self._key = key
        self._group = group
        self._commands: list[list[bytes]] = []
        #: Replicas make a consumer when they are told what it claims.
        self._is_unheard_of = False
        self.consumer: Consumer
        self.consumer, self._is_unheard_of = meet_consumer(session.db, key, group, name)

    def _tell(self, entry_id: StreamId, pending: Pending) -> None:
        effects = self._db.effects
        effects.dirty += 1
        if effects.observed:
            claim = claim_command(
                self._key,
                self._group,
                entry_id,
                owner=pending.consumer.name,
                when_ms=pending.delivered_at_ms,
                count=pending.delivery_count,
            )
            self._commands.append(claim)
            if pending.consumer is self.consumer:
                self._is_unheard_of = False

    def drop(self, entry_id: StreamId, pending: Pending) -> None:
        """The entry itself was deleted: nobody can have it pending any longer."""
        self._tell(entry_id, pending)
        self._group.acknowledge(entry_id)

    def take(self, entry_id: StreamId, pending: Pending, when_ms: int) -> None:
        """The consumer has the entry from now on; its delivery count is set before."""
        self._group.assign(entry_id, pending, self.consumer)
        pending.delivered_at_ms = when_ms
        self.consumer.active_time_ms = self._db.clock.now_ms
        self._tell(entry_id, pending)

    def finish(self, *, has_moved: bool = False) -> None:
        """Tell the world; `has_moved`: the last ID of the group was set."""
        db = self._db
        commands = self._commands
        if has_moved and not commands:
            db.effects.dirty += 1
            commands.append(set_id_command(self._key, self._group))
        if self._is_unheard_of:
            commands.append(create_consumer_command(self._key, self._group, self.consumer.name))
        if db.meter is not None:
            db.meter.remeasure(self._key, db.peek(self._key))
        db.effects.propagate_instead(db.index, *commands)


class _ClaimOptions:
    """What stands behind the IDs of XCLAIM."""

    def __init__(self, args: list[bytes], position: int, now_ms: int) -> None:
        self.when_ms = now_ms
        self.delivery_count = -1
        self.is_forced = False
        self.only_ids = False
        self.last_id = ZERO_ID
        count = len(args)
        while position < count:
            word = args[position].upper()
            has_more = position + 1 < count
            if word == b"FORCE":
                self.is_forced = True
            elif word == b"JUSTID":
                self.only_ids = True
            elif word in (b"IDLE", b"TIME", b"RETRYCOUNT") and has_more:
                position += 1
                number = parse_integer(args[position])
                if number is None:
                    raise CommandError(b"ERR Invalid %b option argument for XCLAIM" % word)
                self._set(word, number, now_ms)
            elif word == b"LASTID" and has_more:
                position += 1
                self.last_id = parse_strict_id(args[position])
            else:
                raise CommandError(
                    b"ERR Unrecognized XCLAIM option '%b'" % as_c_string(args[position])
                )
            position += 1

    def _set(self, word: bytes, number: int, now_ms: int) -> None:
        if word == b"RETRYCOUNT":
            self.delivery_count = number
            return
        when_ms = now_ms - number if word == b"IDLE" else number
        # A clock that is ahead of this one is no reason to refuse.
        self.when_ms = when_ms if 0 <= when_ms <= now_ms else now_ms


@command(
    "XCLAIM",
    group="stream",
    since="5.0.0",
    arity=-6,
    flags="write fast",
    keys=(one_key(1, "RW", "UPDATE"),),
    args="key group consumer min-idle-time:string id... [IDLE ms] "
    "[TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
    complexity="O(log N) for each entry, N being the number of pending ones",
    tips=("nondeterministic_output",),
)
def xclaim(session: Session, args: list[bytes]) -> bytes:
    """Gives pending entries to another consumer."""
    key = args[1]
    stream, group = require_group(session.db, key, args[2])
    idle_min_ms = parse_integer(args[4])
    if idle_min_ms is None:
        raise CommandError(b"ERR Invalid min-idle-time argument for XCLAIM")
    ids: list[StreamId] = []
    for text in args[5:]:
        entry_id = maybe_parse_id(text)
        if entry_id is None:
            break
        ids.append(entry_id)
    now_ms = session.machine.clock.now_ms
    options = _ClaimOptions(args, 5 + len(ids), now_ms)
    has_moved = options.last_id > group.last_id
    if has_moved:
        group.last_id = options.last_id
    claims = _Claims(session, key, group, args[3])
    consumer = claims.consumer
    replies: list[bytes] = []
    for entry_id in ids:
        pending = group.pending.get(entry_id)
        fields = stream.maybe_entry(entry_id)
        if fields is None:
            if pending is not None:
                claims.drop(entry_id, pending)
            continue
        if pending is None:
            if not options.is_forced:
                continue
            pending = group.create_pending(entry_id, consumer, now_ms, 1)
        elif idle_min_ms > 0 and now_ms - pending.delivered_at_ms < idle_min_ms:
            continue
        if options.delivery_count >= 0:
            pending.delivery_count = options.delivery_count
        elif not options.only_ids:
            pending.delivery_count += 1
        claims.take(entry_id, pending, options.when_ms)
        replies.append(id_reply(entry_id) if options.only_ids else entry_reply((entry_id, fields)))
    claims.finish(has_moved=has_moved)
    return array(replies)


@command(
    "XAUTOCLAIM",
    group="stream",
    since="6.2.0",
    arity=-6,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key group consumer min-idle-time:string start:string [COUNT count] [JUSTID]",
    complexity="O(1) if COUNT is small",
    tips=("nondeterministic_output",),
)
def xautoclaim(session: Session, args: list[bytes]) -> bytes:
    """Gives a consumer what has been pending for long; returns from where to go on."""
    idle_min_ms = parse_integer(args[4])
    if idle_min_ms is None:
        raise CommandError(b"ERR Invalid min-idle-time argument for XAUTOCLAIM")
    start = parse_start(args[5])
    count = _AUTOCLAIM_COUNT
    only_ids = False
    position = 6
    while position < len(args):
        word = args[position].upper()
        if word == b"COUNT" and position + 1 < len(args):
            position += 1
            count = parse_integer(args[position]) or 0
            if not 1 <= count <= _AUTOCLAIM_COUNT_MAX:
                raise COUNT_OPTION_NOT_POSITIVE
        elif word == b"JUSTID":
            only_ids = True
        else:
            raise SYNTAX
        position += 1
    key = args[1]
    stream, group = require_group(session.db, key, args[2])
    claims = _Claims(session, key, group, args[3])
    now_ms = session.machine.clock.now_ms
    replies: list[bytes] = []
    deleted: list[bytes] = []
    rest = group.pending.items(start)
    for _ in range(count * _ATTEMPTS_PER_ENTRY):
        if len(replies) + len(deleted) == count:
            break
        entry_id, pending = next(rest, (None, None))
        if entry_id is None or pending is None:
            break
        if not stream.has_entry(entry_id):
            claims.drop(entry_id, pending)
            deleted.append(id_reply(entry_id))
            continue
        if idle_min_ms > 0 and now_ms - pending.delivered_at_ms < idle_min_ms:
            continue
        if only_ids:
            replies.append(id_reply(entry_id))
        else:
            pending.delivery_count += 1
            replies.append(entry_reply(stream.range(entry_id, entry_id, 1)[0]))
        claims.take(entry_id, pending, now_ms)
    cursor, _ = next(rest, (ZERO_ID, None))
    claims.finish()
    return array([id_reply(cursor), array(replies), array(deleted)])
