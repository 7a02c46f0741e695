"""One Lua world: it compiles texts and runs what it compiled.

Scripts have one, the libraries of functions another. Rules: Lua gets bytes and numbers, never an
object; what Lua calls here never raises, since an exception would reach the script as an object. A
script runs in its client's session, with replies of the protocol that it chose, and cannot block.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import frozen
from lupa.lua51 import LuaError, LuaRuntime

from ..errors import CommandError
from ..resp.encoder import RESP2, RESP3, bulk
from ..version import REDIS_VERSION
from .calls import ScriptCalls
from .calls_source import CALLS
from .libraries import LIBRARIES
from .names import BAD_NAME, is_name
from .rules import Rules
from .running import Running
from .sandbox_source import SANDBOX
from .tail_calls import without_tail_calls

if TYPE_CHECKING:
    from ..machine import Machine
    from ..session import Session

#: What all scripts of one node may hold at a time; the same for all functions.
MEMORY_MAX_BYTES: Final = 256 * 1024 * 1024


@frozen
class Registration:
    """What a library said of one function."""

    name: bytes
    callback: object
    flags: frozenset[bytes]
    description: bytes | None


def _no_attributes(owner: object, name: object, is_setting: bool) -> str:
    raise AttributeError("there is nothing to see here")


class Interpreter:
    """Runs scripts, or functions, of one machine, one at a time."""

    def __init__(self, machine: "Machine", running: Running, *, for_functions: bool) -> None:
        self._machine = machine
        self._running = running
        self._effects = machine.keyspace.effects
        self._for_functions = for_functions
        #: What Lua calls the texts of scripts in its complaints.
        self._source = b"user_function" if for_functions else b"user_script"
        self._calls = ScriptCalls(machine, running)
        #: What the library that is being loaded has registered so far.
        self._registered: dict[bytes, Registration] = {}
        self._load_ends_ns: int | None = None
        self._lua = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attributes,
            max_memory=MEMORY_MAX_BYTES,
        )
        major, minor, patch = (int(part) for part in REDIS_VERSION.split("."))
        self._load, self._run, self._load_library = self._lua.execute(
            SANDBOX + CALLS,
            self._calls.call,
            self._small_service,
            running.breathe,
            REDIS_VERSION.encode(),
            major << 16 | minor << 8 | patch,
            self._source,
            self._register,
            self._is_load_late,
        )

    @property
    def memory_bytes(self) -> int:
        """What Lua has allocated."""
        return int(self._lua.get_memory_used(total=True) or 0)

    # --- scripts -----------------------------------------------------------------------------

    def compile(self, text: bytes) -> object:
        """Make a chunk of a script; raises CommandError with Lua's complaint."""
        try:
            loaded = self._load(text)
        except LuaError:
            loaded = (None, b"not enough memory")
        chunk, message = loaded if isinstance(loaded, tuple) else (loaded, b"")
        if chunk is None:
            raise CommandError(b"ERR Error compiling script (new function): " + message)
        return chunk

    def run(
        self,
        session: "Session",
        chunk: object,
        name: bytes,
        request: list[bytes],
        keys_count: int,
        rules: Rules,
    ) -> bytes:
        """Run a script or function for a request whose keys and arguments begin with the fourth
        word; returns its reply, raises CommandError with its error."""
        running, effects = self._running, self._effects
        database, encoder, may_block = session.db, session.encoder, session.may_block
        running.begin(session, name, request, rules, self._for_functions)
        if keys_count and not rules.allow_cross_slot:
            running.start_in_slot_of(request[3])
        session.may_block = False
        session.encoder = RESP2
        effects.depth += 1
        try:
            ok, reply, line = self._run(chunk, encoder.protocol, keys_count, *request[3:])
        except LuaError as failure:
            ok, reply, line = False, b"ERR " + str(failure).encode("utf-8", "replace"), None
        finally:
            effects.depth -= 1
            session.db, session.encoder, session.may_block = database, encoder, may_block
            running.end()
            # The commands of a script were sent one by one, so that the script itself is not.
            if effects.observed:
                effects.propagate_instead(database.index)
        if ok is None:
            return reply  # type: ignore[no-any-return]
        if ok:
            return bulk(reply)
        if line is not None:
            reply = b"%b script: %b, on @%b:%d." % (reply, name, self._source, line)
        raise CommandError(reply)

    def _small_service(self, what: bytes, *words: bytes | float) -> bytes | bool | None:
        """What else a script may ask for."""
        if what == b"acl_check_cmd":
            return self._calls.may_run(words)
        if what == b"sha1hex":
            return hashlib.sha1(_text(words[0]), usedforsecurity=False).hexdigest().encode()
        if what == b"library":
            return LIBRARIES[_text(words[0])]
        if what == b"without_tail_calls":
            return without_tail_calls(_text(words[0]))
        if what == b"setresp":
            if self._running.session is not None:
                self._running.session.encoder = RESP3 if words[0] == 3 else RESP2
            return None
        log = self._machine.log
        tell: Callable[[str], None] = (log.debug, log.verbose, log.notice, log.warning)[
            int(words[0])
        ]
        tell(_text(words[1]).decode("latin-1"))
        return None

    # --- libraries ---------------------------------------------------------------------------

    def load_library(self, text: bytes, limit_ms: int | None) -> list[Registration]:
        """Run a library; returns what it registered, raises CommandError with its error."""
        self._registered = {}
        self._load_ends_ns = None
        if limit_ms is not None:
            self._load_ends_ns = self._machine.timer() + limit_ms * 1_000_000
        try:
            complaint = self._load_library(text)
        except LuaError as failure:
            complaint = b"Error registering functions: ERR " + str(failure).encode()
        registered, self._registered = self._registered, {}
        if complaint is not None:
            raise CommandError(b"ERR " + complaint)
        return list(registered.values())

    def _is_load_late(self) -> bool:
        ends_ns = self._load_ends_ns
        return ends_ns is not None and self._machine.timer() > ends_ns

    def _register(
        self, name: bytes, callback: object, flags: bytes, description: bytes | None = None
    ) -> bytes | None:
        """redis.register_function; returns a complaint."""
        if not is_name(name):
            return BAD_NAME.text.removeprefix(b"ERR ")
        if name in self._registered:
            return b"Function already exists in the library"
        self._registered[name] = Registration(name, callback, frozenset(flags.split()), description)
        return None


def _text(word: bytes | float) -> bytes:
    return word if isinstance(word, bytes) else b"%.14g" % word
