"""Tables of commands for nodes on which few things need a check, and for clients that need none.

A node in a cluster asks where a key belongs; one with a replica, a log or a client that tracks
hands on what commands did. That is the ordinary life of a node, so that neither sends its clients
through the whole gate: for each of the two, and for both, there is a table in which a command does
just that and then runs, booked by the request loop as on a node where nothing is going on.

One more is for clients in the middle of MULTI: there commands only get in line. And for clients of
users that may not do everything each of these asks for the rights first.

Rules: what is done here is what the gate would do, in its order; nothing else may be asked of the
node or the client (`Machine.regate` chooses the table). The one-key commands are written out, a
call less each; the rest is put together.
"""

from binascii import crc_hqx
from typing import TYPE_CHECKING, Any, Final

from ..slots.hashing import SLOT_COUNT, key_slot, slots_of
from ..slots.keyspec import BeginIndex, FindRange
from .errors import CommandError
from .registry import BatchFunction, Command, CommandFunction, Flag
from .resp.alike import Alike, Requests
from .resp.encoder import QUEUED

if TYPE_CHECKING:
    from .batches import Replies
    from .dispatch import Gate
    from .effects import Effects
    from .session import Session

_MASK: Final = SLOT_COUNT - 1
_BRACE: Final = ord("{")

#: Whose pipelines may be run as one while commands are sent on: each request that the batch
#: function carries out itself is a change, and is sent on as it came.
_SENT_ON_AS_THEY_CAME: Final = frozenset({"set", "incr", "lpush", "rpush", "lpop", "rpop", "hset"})


#: These run at once inside MULTI; everything else is queued.
NEVER_QUEUED: Final = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})


class RefusedError(CommandError):
    """A request that was refused before it ran, and is booked as such already."""


def has_one_key(command: Command) -> bool:
    """Whether the one key of the command is the first word after its name."""
    keys = command.spec.keys
    return (
        len(keys) == 1
        and keys[0].own_finder is None
        and keys[0].begin == BeginIndex(1)
        and keys[0].find == FindRange(0, 1, 0)
    )


def only_reads(command: Command) -> bool:
    """Whether the command never changes a value; PFCOUNT counts as one that reads, and does."""
    keys = command.spec.keys
    return Flag.READONLY in command.flags and all(spec.has_flag("RO") for spec in keys)


# --- where keys belong ---------------------------------------------------------------------------


def routed(gate: "Gate", command: Command, function: CommandFunction) -> CommandFunction:
    """The command, once it is clear that its keys are served here."""
    served = gate.served
    check = gate.check_route_alone

    def call_keyless(session: "Session", args: list[bytes]) -> bytes:
        session.asking = False
        return function(session, args)

    def call_one(session: "Session", args: list[bytes]) -> bytes:
        key = args[1]
        if served[crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)]:
            session.asking = False
        else:
            check(session, command, args)
        return function(session, args)

    def call_several(session: "Session", args: list[bytes]) -> bytes:
        check(session, command, args)
        return function(session, args)

    if command.keys_of is None:
        # What was said before MULTI is meant for all of the transaction.
        return function if command.full_name == "multi" else call_keyless
    return call_one if has_one_key(command) else call_several


def routed_batch(gate: "Gate", batch: BatchFunction) -> BatchFunction:
    """A pipeline of one-key commands, if all of the keys are served here."""
    served = gate.served

    def run(session: "Session", requests: Requests) -> "Replies[Any] | None":
        if 0 in served:
            try:
                if type(requests) is Alike:
                    slots = slots_of(requests.columns[0])
                else:
                    slots = slots_of([args[1] for args in requests])
            except (IndexError, TypeError):
                return None  # odd: each by itself
            if not all(map(served.__getitem__, slots)):
                return None
        reply = batch(session, requests)
        if reply is not None:
            session.asking = False
        return reply

    return run


# --- what commands did ---------------------------------------------------------------------------


def observed(gate: "Gate", command: Command) -> CommandFunction:
    """The command, with what it did handed out."""
    function, effects = command.function, gate.effects
    wake = gate.wake_blocked

    def call_reader(session: "Session", args: list[bytes]) -> bytes:
        dirty_before = effects.dirty
        try:
            return function(session, args)
        finally:
            # A key that died of age, or that is missing.
            if effects.pending:
                effects.settle(session.db.index, args, dirty_before)
                wake()

    def call_writer(session: "Session", args: list[bytes]) -> bytes:
        dirty_before = effects.dirty
        try:
            return function(session, args)
        finally:
            if effects.pending or effects.dirty != dirty_before:
                effects.settle(session.db.index, args, dirty_before)
                session.written_offset = effects.stream_offset
                if gate.after_command is not None:
                    wake()

    return call_reader if only_reads(command) else call_writer


def routed_and_observed(gate: "Gate", command: Command) -> CommandFunction:
    """Both: the route first."""
    if not has_one_key(command):
        return routed(gate, command, observed(gate, command))
    function, effects = command.function, gate.effects
    served, check, wake = gate.served, gate.check_route_alone, gate.wake_blocked

    def call_reader(session: "Session", args: list[bytes]) -> bytes:
        key = args[1]
        if served[crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)]:
            session.asking = False
        else:
            check(session, command, args)
        dirty_before = effects.dirty
        try:
            return function(session, args)
        finally:
            if effects.pending:
                effects.settle(session.db.index, args, dirty_before)
                wake()

    def call_writer(session: "Session", args: list[bytes]) -> bytes:
        key = args[1]
        if served[crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)]:
            session.asking = False
        else:
            check(session, command, args)
        dirty_before = effects.dirty
        try:
            return function(session, args)
        finally:
            if effects.pending or effects.dirty != dirty_before:
                effects.settle(session.db.index, args, dirty_before)
                session.written_offset = effects.stream_offset
                if gate.after_command is not None:
                    wake()

    return call_reader if only_reads(command) else call_writer


def observed_batch(effects: "Effects", command: Command) -> BatchFunction | None:
    """A pipeline of one command, with what all of them did handed out; None: not in one go."""
    batch = command.batch
    if batch is None:
        return None

    def run_readers(session: "Session", requests: Requests) -> "Replies[Any] | None":
        # What dies of age meanwhile would have to go out one by one.
        if session.db.volatile_count or effects.wants_misses or effects.pending:
            return None
        reply = batch(session, requests)
        if reply is not None:
            effects.settle_apart()
        return reply

    def run_writers(session: "Session", requests: Requests) -> "Replies[Any] | None":
        if not effects.takes_runs:
            return None
        reply = batch(session, requests)
        if reply is not None:
            effects.settle_run(session.db.index, requests)
            session.written_offset = effects.stream_offset
        return reply

    if only_reads(command):
        return run_readers
    return run_writers if command.full_name in _SENT_ON_AS_THEY_CAME else None


# --- rights --------------------------------------------------------------------------------------


def authorized(gate: "Gate", command: Command, function: CommandFunction) -> CommandFunction:
    """The command, once it is clear that the user may do that; refusals are booked."""
    name, is_of_one_key = command.full_name, has_one_key(command)

    def call(session: "Session", args: list[bytes]) -> bytes:
        user = session.account
        if not (
            (is_of_one_key and user.may_use_key(name, args[1]))
            or name in user.unchecked
            or gate.authorize is None
        ):
            try:
                gate.authorize(session, command, args)
            except CommandError as refusal:
                command.statistics.rejected += 1
                raise RefusedError(refusal.text) from None
        return function(session, args)

    return call


# --- transactions --------------------------------------------------------------------------------


def queued(gate: "Gate", command: Command, *, is_routed: bool) -> CommandFunction | None:
    """The command as one that waits for EXEC; None: it has to pass the gate for that."""
    if (
        command.subcommands
        or command.full_name in NEVER_QUEUED
        or Flag.NO_MULTI in command.flags
        or command.spec.group == "scripting"
    ):
        return None
    served = gate.served

    def enqueue(session: "Session", args: list[bytes]) -> bytes:
        queue = session.queue
        assert queue is not None
        queue.append((command, args))
        return QUEUED

    def enqueue_one(session: "Session", args: list[bytes]) -> bytes:
        key = args[1]
        if not served[crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)]:
            return gate.run(session, command, args)
        return enqueue(session, args)

    if not is_routed or command.keys_of is None:
        return enqueue
    return enqueue_one if has_one_key(command) else None
