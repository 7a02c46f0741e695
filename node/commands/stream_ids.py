"""What the stream commands have in common: IDs and entries as text, groups, announcements.

* An ID is `milliseconds-sequence`; a lone number lacks its sequence, and what that then is depends
  on the command. `-` and `+` are the ends of the range, in most places, and "(" excludes.
* What only concerns consumer groups changes no value in the eyes of WATCH and of client-side
  caching. It is counted and propagated all the same: see `announce`.
"""

from typing import Final

from ..database import Database
from ..errors import WRONG_TYPE, CommandError, as_c_string
from ..resp.encoder import pack_bulks
from ..values.numbers import parse_unsigned
from ..values.streamentries import Entry, StreamId
from ..values.streamgroups import Consumer, ConsumerGroup
from ..values.streamvalue import (
    LARGEST_ID,
    ZERO_ID,
    StreamValue,
    maybe_id_after,
    maybe_id_before,
)

LARGEST_SEQUENCE: Final = LARGEST_ID[1]
#: Longer texts are no IDs, whatever they say.
_LONGEST_ID: Final = 127
#: So many digits are a number below 2**64 for sure.
_LONGEST_SURE_NUMBER: Final = 18
_INVALID_ID: Final = CommandError(b"ERR Invalid stream ID specified as stream command argument")
_INVALID_START: Final = CommandError(b"ERR invalid start ID for the interval")
_INVALID_END: Final = CommandError(b"ERR invalid end ID for the interval")


# --- reading ---------------------------------------------------------------------------------


def maybe_parse_id(text: bytes, missing_sequence: int = 0) -> StreamId | None:
    """An ID without `-` and `+`; None if that is none."""
    milliseconds_text, dash, sequence_text = text.partition(b"-")
    if (
        len(text) <= _LONGEST_SURE_NUMBER
        and milliseconds_text.isdigit()
        and (sequence_text.isdigit() or not dash)
    ):
        return int(milliseconds_text), int(sequence_text) if dash else missing_sequence
    if len(text) > _LONGEST_ID:
        return None
    milliseconds_text, dash, sequence_text = as_c_string(text).partition(b"-")
    milliseconds = parse_unsigned(milliseconds_text)
    sequence = parse_unsigned(sequence_text) if dash else missing_sequence
    if milliseconds is None or sequence is None:
        return None
    return milliseconds, sequence


def parse_strict_id(text: bytes, missing_sequence: int = 0) -> StreamId:
    """An ID without `-` and `+`."""
    entry_id = maybe_parse_id(text, missing_sequence)
    if entry_id is None:
        raise _INVALID_ID
    return entry_id


def parse_id(text: bytes, missing_sequence: int = 0) -> StreamId:
    """An ID, or `-` or `+` for the lowest and the highest one."""
    if text == b"-":
        return ZERO_ID
    if text == b"+":
        return LARGEST_ID
    return parse_strict_id(text, missing_sequence)


def parse_new_id(text: bytes) -> tuple[StreamId, bool]:
    """An ID for a new entry, and whether its sequence is given (`5-*` leaves it open)."""
    if text.endswith(b"-*") and len(text) <= _LONGEST_ID and b"-" not in text[:-2]:
        milliseconds = parse_unsigned(text[:-2])
        if milliseconds is None:
            raise _INVALID_ID
        return (milliseconds, 0), False
    return parse_strict_id(text), True


def parse_start(text: bytes) -> StreamId:
    """Where a range starts: the first ID in it."""
    if len(text) < 2 or text[:1] != b"(":
        return parse_id(text)
    start = maybe_id_after(parse_strict_id(text[1:]))
    if start is None:
        raise _INVALID_START
    return start


def parse_end(text: bytes) -> StreamId:
    """Where a range ends: the last ID in it."""
    if len(text) < 2 or text[:1] != b"(":
        return parse_id(text, LARGEST_SEQUENCE)
    end = maybe_id_before(parse_strict_id(text[1:], LARGEST_SEQUENCE))
    if end is None:
        raise _INVALID_END
    return end


# --- writing ---------------------------------------------------------------------------------


def id_text(entry_id: StreamId) -> bytes:
    """An ID as text."""
    return b"%d-%d" % entry_id


def id_reply(entry_id: StreamId) -> bytes:
    """An ID as a reply."""
    text = b"%d-%d" % entry_id
    return b"$%d\r\n%b\r\n" % (len(text), text)


def entry_reply(entry: Entry) -> bytes:
    """An entry as a reply: its ID, and its fields with their values in one array."""
    text = b"%d-%d" % entry[0]
    return b"*2\r\n$%d\r\n%b\r\n%b" % (len(text), text, pack_bulks(entry[1]))


def entries_reply(entries: list[Entry]) -> bytes:
    """Entries in an array."""
    return b"*%d\r\n%b" % (len(entries), b"".join(map(entry_reply, entries)))


# --- groups ----------------------------------------------------------------------------------


def maybe_group(db: Database, key: bytes, name: bytes) -> tuple[StreamValue, ConsumerGroup] | None:
    """A stream with one of its groups; None if either is missing."""
    value = db.get(key)
    if value is None:
        return None
    if type(value) is not StreamValue:
        raise WRONG_TYPE
    group = value.groups.get(name)
    return None if group is None else (value, group)


def require_group(db: Database, key: bytes, name: bytes) -> tuple[StreamValue, ConsumerGroup]:
    """A stream with one of its groups."""
    found = maybe_group(db, key, name)
    if found is None:
        raise CommandError(
            b"NOGROUP No such key '%b' or consumer group '%b'"
            % (as_c_string(key), as_c_string(name))
        )
    return found


def no_such_group(key: bytes, name: bytes) -> CommandError:
    """The stream exists, the group does not."""
    return CommandError(
        b"NOGROUP No such consumer group '%b' for key name '%b'"
        % (as_c_string(name), as_c_string(key))
    )


def meet_consumer(
    db: Database, key: bytes, group: ConsumerGroup, name: bytes
) -> tuple[Consumer, bool]:
    """The consumer of that name, seen just now; and whether it had to be made for that."""
    now_ms = db.clock.now_ms
    consumer = group.consumers.get(name)
    if consumer is not None:
        consumer.seen_time_ms = now_ms
        return consumer, False
    created = group.create_consumer(name, now_ms)
    assert created is not None
    announce(db, key, b"xgroup-createconsumer")
    return created, True


def announce(db: Database, key: bytes, event: bytes = b"") -> None:
    """Something about the groups of a stream changed, not the stream as a value."""
    effects = db.effects
    effects.dirty += 1
    if db.meter is not None:
        db.meter.remeasure(key, db.peek(key))
    if event:
        effects.record_event(db.index, key, "t", event)


def claim_command(
    key: bytes, group: ConsumerGroup, entry_id: StreamId, *, owner: bytes, when_ms: int, count: int
) -> list[bytes]:
    """What makes a replica know who has an entry pending: safe to be run twice."""
    return [
        *(b"XCLAIM", key, group.name, owner, b"0", id_text(entry_id)),
        *(b"TIME", b"%d" % when_ms, b"RETRYCOUNT", b"%d" % count),
        *(b"FORCE", b"JUSTID", b"LASTID", id_text(group.last_id)),
    ]


def set_id_command(key: bytes, group: ConsumerGroup) -> list[bytes]:
    """What makes a replica know how far a group has read."""
    entries_read = -1 if group.entries_read is None else group.entries_read
    return [
        *(b"XGROUP", b"SETID", key, group.name, id_text(group.last_id)),
        *(b"ENTRIESREAD", b"%d" % entries_read),
    ]


def create_consumer_command(key: bytes, group: ConsumerGroup, name: bytes) -> list[bytes]:
    """What makes a replica know of a consumer that has nothing pending yet."""
    return [b"XGROUP", b"CREATECONSUMER", key, group.name, name]
