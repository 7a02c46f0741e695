"""XREAD and XREADGROUP, and waiting for entries that are yet to come.

A blocked client tries its whole command again when one of its streams changes: so it gets the
entries of all its streams, and is told when a group, a key or its type is gone. `$` stands for the
last ID at the moment when the client came.

What replicas get of XREADGROUP is one XCLAIM for each entry delivered, and the last ID of the
group with its count. Reading one's own pending entries again is not propagated.
"""

from typing import Final

from attrs import define, field

from ...slots.keyspec import FindRange, keyword_keys
from ..errors import (
    SYNTAX,
    TIMEOUT_NEGATIVE,
    TIMEOUT_NOT_AN_INTEGER,
    TIMEOUT_OUT_OF_RANGE,
    CommandError,
    as_c_string,
)
from ..registry import command
from ..resp.encoder import bulk
from ..session import Session
from ..values.numbers import INTEGER_MAXIMUM, parse_integer
from ..values.streamentries import StreamId
from ..values.streamgroups import Consumer, ConsumerGroup
from ..values.streamvalue import LARGEST_ID, ZERO_ID, StreamValue, maybe_id_after, maybe_id_before
from .arguments import required_integer
from .stream_ids import (
    announce,
    claim_command,
    create_consumer_command,
    entries_reply,
    entry_reply,
    id_reply,
    id_text,
    meet_consumer,
    parse_strict_id,
    set_id_command,
)

_GROUP_IN_XREAD: Final = CommandError(
    b"ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
)
_NOACK_IN_XREAD: Final = CommandError(
    b"ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
)
_GROUP_MISSING: Final = CommandError(b"ERR Missing GROUP option for XREADGROUP")
_NEW_IN_XREAD: Final = CommandError(
    b"ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
    b"<consumer> option."
)
#: In XREADGROUP this ID means: what nobody of the group got yet.
_NEW: Final = LARGEST_ID


@define
class _Request:
    """One XREAD or XREADGROUP, taken apart."""

    is_group: bool
    keys: list[bytes] = field(factory=list)
    id_texts: list[bytes] = field(factory=list)
    #: None: do not wait.
    timeout_ms: int | None = None
    #: Zero: all there are.
    count: int = 0
    group_name: bytes | None = None
    consumer_name: bytes = b""
    needs_no_ack: bool = False


@define
class _Place:
    """One of the streams of a request, and from where on it is read."""

    key: bytes
    stream: StreamValue | None
    group: ConsumerGroup | None
    after: StreamId


@command(
    "XREAD",
    group="stream",
    since="5.0.0",
    arity=-4,
    flags="readonly blocking",
    keys=(keyword_keys("STREAMS", 1, FindRange(-1, 1, 2), "RO", "ACCESS"),),
    args="[COUNT count] [BLOCK milliseconds] streams:block(STREAMS key... id...)",
    complexity="O(N) in the number of entries returned",
)
def xread(session: Session, args: list[bytes]) -> bytes:
    """Returns the entries behind an ID in each of some streams, or waits for one."""
    return _read(session, _parse(session, args, False))


@command(
    "XREADGROUP",
    group="stream",
    since="5.0.0",
    arity=-7,
    flags="write blocking",
    keys=(keyword_keys("STREAMS", 4, FindRange(-1, 1, 2), "RO", "ACCESS"),),
    args="group-block:block(GROUP group consumer) [COUNT count] [BLOCK milliseconds] [NOACK] "
    "streams:block(STREAMS key... id...)",
    complexity="O(N) in the number of entries returned",
)
def xreadgroup(session: Session, args: list[bytes]) -> bytes:
    """Returns new entries to a consumer of a group, or those that it has pending."""
    return _read(session, _parse(session, args, True))


# --- the request -----------------------------------------------------------------------------


def _parse(session: Session, args: list[bytes], is_group: bool) -> _Request:
    request = _Request(is_group)
    count = len(args)
    position = 1
    while position < count:
        word = args[position].upper()
        more = count - 1 - position
        if word == b"BLOCK" and more:
            position += 1
            request.timeout_ms = _parse_timeout(args[position], session.machine.clock.now_ms)
        elif word == b"COUNT" and more:
            position += 1
            number = required_integer(args[position])
            request.count = max(number, 0)
        elif word == b"STREAMS" and more:
            _split_streams(request, args[position + 1 :])
            break
        elif word == b"GROUP" and more >= 2:
            if not is_group:
                raise _GROUP_IN_XREAD
            request.group_name, request.consumer_name = args[position + 1 : position + 3]
            position += 2
        elif word == b"NOACK":
            if not is_group:
                raise _NOACK_IN_XREAD
            request.needs_no_ack = True
        else:
            raise SYNTAX
        position += 1
    if not request.keys:
        raise SYNTAX
    if is_group and request.group_name is None:
        raise _GROUP_MISSING
    return request


def _parse_timeout(text: bytes, now_ms: int) -> int:
    timeout_ms = parse_integer(text)
    if timeout_ms is None:
        raise TIMEOUT_NOT_AN_INTEGER
    if timeout_ms < 0:
        raise TIMEOUT_NEGATIVE
    if timeout_ms > INTEGER_MAXIMUM - now_ms:
        raise TIMEOUT_OUT_OF_RANGE
    return timeout_ms


def _split_streams(request: _Request, words: list[bytes]) -> None:
    half, rest = divmod(len(words), 2)
    if rest:
        name, symbol = (b"xreadgroup", b">") if request.is_group else (b"xread", b"$")
        raise CommandError(
            b"ERR Unbalanced '%b' list of streams: for each stream key an ID or '%b' must be "
            b"specified." % (name, symbol)
        )
    request.keys = words[:half]
    request.id_texts = words[half:]


def _resolve(session: Session, request: _Request) -> list[_Place]:
    """Find the streams and groups, and read the IDs."""
    db = session.db
    places: list[_Place] = []
    for key, text in zip(request.keys, request.id_texts, strict=True):
        stream = db.typed(key, StreamValue)
        group: ConsumerGroup | None = None
        if request.group_name is not None:
            group = stream.groups.get(request.group_name) if stream is not None else None
            if group is None:
                raise CommandError(
                    b"NOGROUP No such key '%b' or consumer group '%b' in XREADGROUP with GROUP "
                    b"option" % (as_c_string(key), as_c_string(request.group_name))
                )
        places.append(_Place(key, stream, group, _parse_after(stream, text, request.is_group)))
    return places


def _parse_after(stream: StreamValue | None, text: bytes, is_group: bool) -> StreamId:
    """The ID behind which to read."""
    if text == b">":
        if not is_group:
            raise _NEW_IN_XREAD
        return _NEW
    if text not in (b"$", b"+"):
        return parse_strict_id(text)
    if is_group:
        raise CommandError(
            b"ERR The %b ID is meaningless in the context of XREADGROUP: you want to read the "
            b"history of this consumer by specifying a proper ID, or use the > ID to get new "
            b"messages. The %b ID would just return an empty result set." % (text, text)
        )
    if stream is None:
        return ZERO_ID
    if text == b"$":
        return stream.last_id
    # The last entry there is, which need not be the last that was added.
    top_id = stream.maybe_last_entry_id()
    return stream.last_id if top_id is None else maybe_id_before(top_id) or ZERO_ID


# --- serving ---------------------------------------------------------------------------------


def _read(session: Session, request: _Request) -> bytes:
    places = _resolve(session, request)
    reply = _serve(session, request, places)
    if reply is not None:
        return reply
    null: bytes = session.encoder.null_array
    if request.timeout_ms is None:
        return null
    for number, place in enumerate(places):
        if request.id_texts[number] == b"$":
            request.id_texts[number] = id_text(place.after)
    db = session.db

    def try_again(key: bytes) -> bytes | None:
        if not request.is_group and type(db.peek(key)) is not StreamValue:
            return None
        return _serve(session, request, _resolve(session, request))

    return session.machine.blocked.wait(
        session,
        request.keys,
        request.timeout_ms,
        try_again,
        null,
        is_write=request.is_group,
        wakes_when_gone=request.is_group,
    )


def _serve(session: Session, request: _Request, places: list[_Place]) -> bytes | None:
    """The reply, or None if there is nothing to read now."""
    db = session.db
    if request.is_group:
        # Never the request itself: replicas hear of what was delivered.
        db.effects.propagate_instead(db.index)
    parts: list[bytes] = []
    for place in places:
        if place.stream is None:
            continue
        if place.group is not None:
            entries = _maybe_group_entries(session, request, place, place.stream, place.group)
        else:
            entries = _maybe_entries(place.stream, place.after, request.count)
        if entries is not None:
            parts.append(bulk(place.key) + entries)
    if not parts:
        return None
    if session.resp3:
        return session.encoder.map_header(len(parts)) + b"".join(parts)
    return b"*%d\r\n*2\r\n%b" % (len(parts), b"*2\r\n".join(parts))


def _maybe_entries(stream: StreamValue, after: StreamId, count: int) -> bytes | None:
    start = maybe_id_after(after)
    if start is None:
        return None
    entries = stream.range(start, LARGEST_ID, count)
    return entries_reply(entries) if entries else None


def _maybe_group_entries(
    session: Session, request: _Request, place: _Place, stream: StreamValue, group: ConsumerGroup
) -> bytes | None:
    db = session.db
    key = place.key
    consumer, is_new = meet_consumer(db, key, group, request.consumer_name)
    reply: bytes | None
    has_claims = False
    if place.after != _NEW:
        reply = _history(session, stream, consumer, place.after, request.count)
    else:
        reply = _deliver(session, request, place, stream, consumer)
        has_claims = reply is not None and not request.needs_no_ack
    if is_new and not has_claims:
        db.effects.propagate_instead(
            db.index, create_consumer_command(key, group, request.consumer_name)
        )
    return reply


def _history(
    session: Session, stream: StreamValue, consumer: Consumer, after: StreamId, count: int
) -> bytes:
    """What a consumer has pending already; of deleted entries there is only the ID left."""
    now_ms = session.machine.clock.now_ms
    start = maybe_id_after(after)
    assert start is not None
    replies: list[bytes] = []
    for entry_id, pending in consumer.pending.items(start):
        fields = stream.maybe_entry(entry_id)
        if fields is None:
            replies.append(b"*2\r\n" + id_reply(entry_id) + session.encoder.null_array)
        else:
            replies.append(entry_reply((entry_id, fields)))
            pending.delivered_at_ms = now_ms
            pending.delivery_count += 1
        if len(replies) == count:
            break
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def _deliver(
    session: Session, request: _Request, place: _Place, stream: StreamValue, consumer: Consumer
) -> bytes | None:
    """Entries that nobody of the group got yet."""
    group = place.group
    assert group is not None
    start = maybe_id_after(group.last_id)
    entries = stream.range(start, LARGEST_ID, request.count) if start is not None else []
    if not entries:
        return None
    db = session.db
    now_ms = session.machine.clock.now_ms
    observed = db.effects.observed
    commands: list[list[bytes]] = []
    for entry_id, _ in entries:
        stream.advance(group, entry_id)
        if request.needs_no_ack:
            continue
        group.deliver(entry_id, consumer, now_ms)
        if observed:
            claim = claim_command(
                place.key, group, entry_id, owner=consumer.name, when_ms=now_ms, count=1
            )
            commands.append(claim)
    announce(db, place.key)
    if observed:
        db.effects.propagate_instead(db.index, *commands, set_id_command(place.key, group))
    return entries_reply(entries)
