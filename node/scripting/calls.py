"""What a script may do to the data: `redis.call` and what it answers.

Rules: Lua gets bytes and numbers, never an object; nothing here raises, since an exception would
reach the script as an object. Which refusal wins is as in Redis: exists, length, forbidden, stale,
rights, writing, memory, cluster.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import hiredis

from ...slots.hashing import key_slot
from ..errors import OUT_OF_MEMORY, CommandError
from ..registry import Command, Flag
from ..resp.encoder import RESP2
from ..session import ClientKind
from .running import Running

if TYPE_CHECKING:
    from ..machine import Machine
    from ..session import Session

#: What a script gets for one element of a reply.
Item = bytes | int | bool
#: What a command answered: a value as it is; or nothing and the reply to decode (the third: it is a
#: status line, and already bare); or twice nothing, and the elements of an array.
Answer = Item | tuple[None, bytes] | tuple[None, bytes, bool] | tuple[Item | None, ...]
#: What Lua hands in; anything but bytes and numbers is refused.
Word = bytes | float

_NO_WORDS: Final = CommandError(b"ERR Please specify at least one argument for this redis lib call")
_NO_TEXT: Final = CommandError(b"ERR Lua redis lib command arguments must be strings or integers")
_UNKNOWN: Final = CommandError(b"ERR Unknown Redis command called from script")
_WRONG_COUNT: Final = CommandError(b"ERR Wrong number of args calling Redis command from script")
_FORBIDDEN: Final = CommandError(b"ERR This Redis command is not allowed from script")
_STALE: Final = CommandError(b"ERR Can not execute the command on a stale replica")
_READ_ONLY: Final = CommandError(b"ERR Write commands are not allowed from read-only scripts.")
_ELSEWHERE: Final = CommandError(
    b"ERR Script attempted to access a non local key in a cluster node"
)
_CROSS_SLOT: Final = CommandError(
    b"ERR Script attempted to access keys that do not hash to the same slot"
)
_DOWN: Final = {
    b"CLUSTERDOWN The cluster is down": CommandError(
        b"ERR Script attempted to execute a command while the cluster is down"
    ),
    b"CLUSTERDOWN The cluster is down and only accepts read commands": CommandError(
        b"ERR Script attempted to execute a write command while the cluster is down and readonly"
    ),
}
_INTERNAL: Final = b"-ERR internal error: the command failed, see the server's log\r\n"
_BAD_CHECK: Final = b"ERR Invalid command passed to redis.acl_check_cmd()"
#: What commands that only prevented something send on, too.
_WRITES: Final = Flag.WRITE | Flag.MAY_REPLICATE
#: Groups of commands that no switch allows to scripts: they change what a script runs in.
_NEVER_IN_SCRIPTS: Final = frozenset({"scripting", "transactions", "connection", "pubsub"})
_WHOLE_MAX: Final = 1 << 53
_NOTHING, _BULK, _INTEGER, _STATUS, _ARRAY, _MINUS = (*b"\0$:+*-",)
#: Arrays that are read here, not by Lua; those of more elements could be too much for its stack.
_LONG_BYTES: Final = 64
_ITEMS_MAX: Final = 1000
_ITEM_KINDS: Final = frozenset({bytes, int, bool})
#: How long a command may take before anybody wants to hear of it.
_SLOW_NS: Final = 1_000_000


class ScriptCalls:
    """Runs the commands of scripts."""

    def __init__(self, machine: "Machine", running: Running) -> None:
        self._machine = machine
        self._gate = machine.gate
        self._running = running
        self._timer = machine.timer
        self._reader = hiredis.Reader()
        #: Commands that may be run, by the names that scripts used; with whether they write.
        self._known: dict[bytes, tuple[Command, int, int, bool]] = {}

    def call(self, *words: Word) -> Answer:
        """redis.call and redis.pcall."""
        running = self._running
        session = running.session
        assert session is not None
        try:
            for word in words:
                if word.__class__ is not bytes:
                    words = _as_words(words)
                    break
            args: list[bytes] = [*words]  # type: ignore[list-item]
            if not args:
                raise _NO_WORDS
            command, low, high, may_write = self._known.get(args[0]) or self._find(args)
            if not low <= len(args) <= high:
                raise _WRONG_COUNT
            if running.is_plain:
                if may_write:
                    if running.rules.read_only:
                        raise _READ_ONLY
                    running.has_written = True
                raw = self._run(session, command, args)
            else:
                self._check(session, command, args, may_write)
                raw = self._gate.call(session, command, args)
        except CommandError as failure:
            self._gate.count_error(failure)
            return None, failure.encoded()
        except Exception as failure:
            self._machine.log.exception("A command of a script failed", failure)
            return None, _INTERNAL
        kind = raw[0] if raw else _NOTHING
        if kind == _BULK:
            if raw[1] == _MINUS:
                return False
            return raw[raw.index(b"\n") + 1 : -2]
        if kind == _INTEGER:
            return int(raw[1:-2])
        if kind == _STATUS:
            return None, raw[1:-2], True
        if kind == _ARRAY and len(raw) >= _LONG_BYTES and session.encoder is RESP2:
            items = self._maybe_items(raw)
            if items is not None:
                return None, None, *items
        return None, raw or b"*0\r\n"

    def _maybe_items(self, raw: bytes) -> list[Item] | None:
        """The elements of an array of texts, numbers and nulls as Lua has them; None: another
        array.

        The parser does not tell texts from status lines: what looks like one is left to Lua.
        """
        if b"\n+" in raw:
            return None
        reader = self._reader
        reader.feed(raw)
        items = reader.gets()
        if type(items) is not list or reader.has_data():
            self._reader = hiredis.Reader()
            return None
        if len(items) > _ITEMS_MAX:
            return None
        if None in items:
            items = [False if item is None else item for item in items]
        return items if _ITEM_KINDS.issuperset(map(type, items)) else None

    def _find(self, args: list[bytes]) -> tuple[Command, int, int, bool]:
        """The command that a script means; raises CommandError if there is none for it."""
        name = args[0]
        command = self._gate.find(name)
        if command is None:
            raise _UNKNOWN
        is_single = not command.subcommands
        if not is_single:
            if len(args) > 1:
                child = command.subcommands.get(args[1].upper())
                if child is None:
                    raise _UNKNOWN
                command = child
            elif command.spec.arity not in (-1, 1):
                raise _WRONG_COUNT
        if not command.low <= len(args) <= command.high:
            raise _WRONG_COUNT
        if Flag.NOSCRIPT in command.flags and (
            not self._machine.debug_switches.scripts_may_all
            or command.spec.group in _NEVER_IN_SCRIPTS
        ):
            raise _FORBIDDEN
        may_write = bool(command.flags & _WRITES)
        found = (command, command.low, command.high, may_write)
        # Only the usual spellings: scripts must not fill memory with the others.
        if is_single and (name.isupper() or name.islower()) and Flag.NOSCRIPT not in command.flags:
            self._known[name] = found
        return found

    def _run(self, session: "Session", command: Command, args: list[bytes]) -> bytes:
        """Run a command on a node on which nothing special is going on."""
        timer, statistics = self._timer, command.statistics
        started_ns = timer()
        try:
            return command.function(session, args)
        except CommandError:
            statistics.failed += 1
            raise
        finally:
            elapsed_ns = timer() - started_ns
            statistics.nanoseconds += elapsed_ns
            statistics.histogram[(elapsed_ns // 1000).bit_length()] += 1
            # Who wants to hear of quicker ones has every client pass the gate.
            if elapsed_ns >= _SLOW_NS:
                self._gate.note_slow(session, command, args, elapsed_ns)

    def _check(
        self, session: "Session", command: Command, args: list[bytes], may_write: bool
    ) -> None:
        machine, gate, running = self._machine, self._gate, self._running
        flags = command.flags
        replication = machine.replication
        if (
            replication.is_replica
            and Flag.STALE not in flags
            and not replication.is_link_up
            and not machine.config.replica_serve_stale_data
        ):
            raise _STALE
        if gate.authorize is not None:
            machine.accounts.authorize_in_script(session, command, args)
        if may_write and running.rules.read_only:
            raise _READ_ONLY
        is_write = Flag.WRITE in flags
        if is_write and not running.has_written:
            if gate.check_disk is not None:
                gate.check_disk(session, command, args)
            if gate.check_replication is not None and session.kind is not ClientKind.MASTER:
                gate.check_replication(session, command, args)
            memory = machine.memory
            if (
                memory.limit_bytes
                and not running.rules.allow_oom
                and Flag.DENYOOM in flags
                and machine.keyspace.metered_bytes() > memory.limit_bytes
            ):
                raise OUT_OF_MEMORY
        if is_write:
            running.has_written = True
        if gate.route is not None and session.kind is not ClientKind.MASTER:
            self._check_route(session, command, args)

    def _check_route(self, session: "Session", command: Command, args: list[bytes]) -> None:
        """Keys must be here; a script that declares itself stays in one slot, too."""
        running, route, keys_of = self._running, self._gate.route, command.keys_of
        if keys_of is None or route is None:
            return
        session.asking = running.is_asking
        try:
            route(session, command, args)
        except CommandError as failure:
            raise _DOWN.get(failure.text, _ELSEWHERE) from None
        finally:
            session.asking = False
        if running.rules.allow_cross_slot:
            return
        keys = keys_of(args)
        if keys:
            slot = key_slot(keys[0])
            if running.slot is None:
                running.slot = slot
            elif running.slot != slot:
                raise _CROSS_SLOT

    def may_run(self, words: Sequence[Word]) -> bool | bytes:
        """redis.acl_check_cmd: whether the user could run that; or a complaint."""
        session = self._running.session
        assert session is not None
        try:
            args = list(_as_words(words))
        except CommandError as failure:
            return failure.text
        if not args:
            return _NO_WORDS.text
        command = self._gate.find(args[0])
        if command is not None and command.subcommands and len(args) > 1:
            command = command.subcommands.get(args[1].upper())
        if command is None:
            return _BAD_CHECK
        return session.account.maybe_denial(command, args) is None


def _as_words(words: Sequence[Word]) -> tuple[bytes, ...]:
    """Arguments as a command gets them; raises CommandError for what is no text and no number."""
    return (*[word if type(word) is bytes else _number(word) for word in words],)


def _number(word: Word) -> bytes:
    """An argument that is no text as a command gets it; raises CommandError for what is no number.

    Of whole numbers Lua knows 53 bits.
    """
    if type(word) is int:
        return b"%d" % word if -_WHOLE_MAX < word < _WHOLE_MAX else b"%.17g" % word
    if type(word) is not float:
        raise _NO_TEXT
    if word != word:
        return b"-nan" if math.copysign(1, word) < 0 else b"nan"
    return b"%.17g" % word
