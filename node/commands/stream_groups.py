"""Consumer groups: making and removing them and their consumers; acknowledging."""

from typing import Final

from ...slots.keyspec import one_key
from ..database import Database
from ..errors import CommandError, unknown_form
from ..registry import command, container
from ..resp.encoder import OK, ONE, ZERO, array, integer
from ..session import Session
from ..values.streamgroups import ConsumerGroup
from ..values.streamvalue import ZERO_ID, StreamValue
from .arguments import required_integer
from .help import help_reply
from .stream_ids import (
    announce,
    maybe_group,
    no_such_group,
    parse_id,
    parse_strict_id,
)
from .stream_trimming import is_referenced
from .streams import Removals, parse_rule_and_ids

#: XGROUP CREATE key group id MKSTREAM ENTRIESREAD number
_CREATE_WORDS_MAX: Final = 8

_KEY_MISSING: Final = CommandError(
    b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
    b"use the MKSTREAM option to create an empty stream automatically."
)
_GROUP_EXISTS: Final = CommandError(b"BUSYGROUP Consumer Group name already exists")
_ENTRIES_READ_NEGATIVE: Final = CommandError(b"ERR value for ENTRIESREAD must be positive or -1")

container(
    "XGROUP",
    group="stream",
    since="5.0.0",
    summary="Makes, changes and removes the consumer groups of a stream",
)


# --- XGROUP ----------------------------------------------------------------------------------


def _parse_entries_read(text: bytes) -> int | None:
    """The number behind ENTRIESREAD; -1 says that it is unknown."""
    number = required_integer(text)
    if number < -1:
        raise _ENTRIES_READ_NEGATIVE
    return None if number == -1 else number


def _required_stream(db: Database, key: bytes) -> StreamValue:
    stream = db.typed_for_write(key, StreamValue)
    if stream is None:
        raise _KEY_MISSING
    return stream


def _required_group(db: Database, key: bytes, name: bytes) -> tuple[StreamValue, ConsumerGroup]:
    stream = _required_stream(db, key)
    group = stream.groups.get(name)
    if group is None:
        raise no_such_group(key, name)
    return stream, group


@command(
    "XGROUP CREATE",
    group="stream",
    since="5.0.0",
    arity=-5,
    flags="write denyoom",
    keys=(one_key(2, "RW", "INSERT"),),
    args="key group id-selector:oneof(id|$) [MKSTREAM] [ENTRIESREAD entries-read]",
)
def xgroup_create(session: Session, args: list[bytes]) -> bytes:
    """Makes a consumer group that reads on behind an ID."""
    may_create = False
    entries_read: int | None = None
    position = 5
    while position < len(args):
        word = args[position].upper()
        if word == b"MKSTREAM":
            may_create = True
        elif word == b"ENTRIESREAD" and position + 1 < len(args):
            position += 1
            entries_read = _parse_entries_read(args[position])
        else:
            raise unknown_form("XGROUP", args[1])
        position += 1
    db = session.db
    key = args[2]
    stream = db.typed_for_write(key, StreamValue)
    if stream is None and not may_create:
        raise _KEY_MISSING
    if len(args) > _CREATE_WORDS_MAX:
        raise unknown_form("XGROUP", args[1])
    last_id = ZERO_ID if stream is None else stream.last_id
    if args[4] != b"$":
        last_id = parse_strict_id(args[4])
    if stream is not None:
        if stream.create_group(args[3], last_id, entries_read) is None:
            raise _GROUP_EXISTS
        announce(db, key, b"xgroup-create")
        return OK
    stream = StreamValue(session.machine.limits)
    stream.create_group(args[3], last_id, entries_read)
    db.put(key, stream)
    db.changed(key, "t", b"xgroup-create")
    return OK


@command(
    "XGROUP SETID",
    group="stream",
    since="5.0.0",
    arity=-5,
    flags="write",
    keys=(one_key(2, "RW", "UPDATE"),),
    args="key group id-selector:oneof(id|$) [ENTRIESREAD entries-read]",
)
def xgroup_setid(session: Session, args: list[bytes]) -> bytes:
    """Sets the ID behind which a consumer group reads on."""
    entries_read: int | None = None
    for position in range(5, len(args), 2):
        if args[position].upper() != b"ENTRIESREAD" or position + 1 == len(args):
            raise unknown_form("XGROUP", args[1])
        entries_read = _parse_entries_read(args[position + 1])
    db = session.db
    key = args[2]
    stream, group = _required_group(db, key, args[3])
    if len(args) > 7:
        raise unknown_form("XGROUP", args[1])
    group.last_id = stream.last_id if args[4] == b"$" else parse_id(args[4])
    group.entries_read = entries_read
    announce(db, key, b"xgroup-setid")
    return OK


@command(
    "XGROUP DESTROY",
    group="stream",
    since="5.0.0",
    arity=4,
    flags="write",
    keys=(one_key(2, "RW", "DELETE"),),
    args="key group",
    complexity="O(N) in the number of pending entries of the group",
)
def xgroup_destroy(session: Session, args: list[bytes]) -> bytes:
    """Removes a consumer group with all that is pending in it."""
    db = session.db
    key = args[2]
    stream = _required_stream(db, key)
    if stream.groups.pop(args[3], None) is None:
        return ZERO
    # Those who wait for this group must hear that it is gone, hence a change of the key itself.
    db.changed(key, "t", b"xgroup-destroy")
    return ONE


@command(
    "XGROUP CREATECONSUMER",
    group="stream",
    since="6.2.0",
    arity=5,
    flags="write denyoom",
    keys=(one_key(2, "RW", "INSERT"),),
    args="key group consumer",
)
def xgroup_createconsumer(session: Session, args: list[bytes]) -> bytes:
    """Makes a consumer in a group; returns 0 if it exists."""
    db = session.db
    key = args[2]
    _, group = _required_group(db, key, args[3])
    if group.create_consumer(args[4], db.clock.now_ms) is None:
        return ZERO
    announce(db, key, b"xgroup-createconsumer")
    return ONE


@command(
    "XGROUP DELCONSUMER",
    group="stream",
    since="5.0.0",
    arity=5,
    flags="write",
    keys=(one_key(2, "RW", "DELETE"),),
    args="key group consumer",
    complexity="O(N) in the number of pending entries of the consumer",
)
def xgroup_delconsumer(session: Session, args: list[bytes]) -> bytes:
    """Removes a consumer from a group; returns how many entries it had pending."""
    db = session.db
    key = args[2]
    _, group = _required_group(db, key, args[3])
    pending = group.delete_consumer(args[4])
    if pending is None:
        return ZERO
    announce(db, key, b"xgroup-delconsumer")
    return integer(pending)


@command(
    "XGROUP HELP",
    group="stream",
    since="5.0.0",
    arity=2,
    flags="loading stale",
)
def xgroup_help(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("XGROUP")


# --- acknowledging ---------------------------------------------------------------------------


@command(
    "XACK",
    group="stream",
    since="5.0.0",
    arity=-4,
    flags="write fast",
    keys=(one_key(1, "RW", "UPDATE"),),
    args="key group id...",
    complexity="O(1) for each entry",
)
def xack(session: Session, args: list[bytes]) -> bytes:
    """Takes entries off the pending ones of a group; returns how many were pending."""
    db = session.db
    key = args[1]
    found = maybe_group(db, key, args[2])
    if found is None:
        return ZERO
    acknowledged = sum(map(found[1].acknowledge, [parse_strict_id(text) for text in args[3:]]))
    if acknowledged:
        announce(db, key)
    return integer(acknowledged)


@command(
    "XACKDEL",
    group="stream",
    since="8.2.0",
    arity=-6,
    flags="write fast",
    keys=(one_key(1, "RW", "UPDATE", "DELETE"),),
    args="key group [condition:oneof(KEEPREF|DELREF|ACKED)] ids:block(IDS numids:integer id...)",
    complexity="O(1) for each entry and consumer group",
)
def xackdel(session: Session, args: list[bytes]) -> bytes:
    """Acknowledges entries and deletes them unless others need them; returns a code for each."""
    rule, ids = parse_rule_and_ids(args, 3)
    key, name = args[1], args[2]
    found = maybe_group(session.db, key, name)
    if found is None:
        return b"*%d\r\n%b" % (len(ids), b":-1\r\n" * len(ids))
    stream = found[0]
    removals = Removals(stream)
    outcomes: list[bytes] = []
    for entry_id in ids:
        if not removals.acknowledge(entry_id, name):
            outcomes.append(b":-1\r\n")
            continue
        if rule == b"ACKED" and is_referenced(stream, entry_id):
            outcomes.append(b":2\r\n")
            continue
        if rule == b"DELREF":
            removals.acknowledge_everywhere(entry_id)
        removals.delete(entry_id)
        outcomes.append(b":1\r\n")
    removals.finish(session, key)
    return array(outcomes)
