"""MONITOR: shows a client every command that the node has run, EXEC after the commands in it.

    +1339518083.107412 [0 127.0.0.1:60866] "keys" "*"

Commands for administrators are left out, as are those marked `skip_monitor`; secrets are hidden.
A watching client that does not read is subject to the output limit of normal clients.
"""

import re
from typing import TYPE_CHECKING, Final

from ..errors import CommandError
from ..redaction import redacted
from ..registry import command
from ..resp.encoder import OK
from ..session import Session

if TYPE_CHECKING:
    from ..machine import Machine

_FEATURE: Final = "monitor"
_FLAG: Final = "monitor"
#: A session with this flag stands for a script.
_SCRIPT_FLAG: Final = "lua"
_DENY_BLOCKING: Final = CommandError(b"ERR MONITOR isn't allowed for DENY BLOCKING client")

_ODD: Final = re.compile(rb'[^\x20-\x7e]|["\\]')
_NAMED: Final = {
    b"\\": b"\\\\",
    b'"': b'\\"',
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b"\a": b"\\a",
    b"\b": b"\\b",
}


class Monitors:
    """Who watches one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._watching: dict[int, Session] = {}

    def add(self, session: Session) -> None:
        """`session` watches from now on."""
        self._watching[session.id] = session
        session.features[_FEATURE] = self
        session.flags.add(_FLAG)
        self._machine.regate(session)
        self._machine.gate.monitor = self.show
        self._machine.require_gate(_FEATURE, True)

    def on_disconnect(self, session: Session) -> None:
        """`session` is gone, or wants to be an ordinary client again."""
        self._watching.pop(session.id, None)
        session.flags.discard(_FLAG)
        if not self._watching:
            self._machine.gate.monitor = None
            self._machine.require_gate(_FEATURE, False)

    def show(self, session: Session, args: list[bytes]) -> None:
        """Show a request that has run; the gate keeps back what nobody may see."""
        line = self._line(session, args)
        for watcher in self._watching.values():
            watcher.outbox.append(line)
            if len(watcher.outbox) == 1:
                # Otherwise the runtime knows already that something waits.
                self._machine.awaken(watcher)

    def _line(self, session: Session, args: list[bytes]) -> bytes:
        seconds, microseconds = divmod(self._machine.unix_time_us(), 1_000_000)
        shown = redacted(args, self._machine.config.is_sensitive)
        return b"+%d.%06d [%d %b] %b\r\n" % (
            seconds,
            microseconds,
            session.db.index,
            _origin(session),
            b" ".join(map(quoted, shown)),
        )


def _origin(session: Session) -> bytes:
    """Where a request came from: a script, a unix socket, or an address."""
    if _SCRIPT_FLAG in session.flags:
        return b"lua"
    # Only clients of a unix socket have port 0.
    if session.address.endswith(":0") and session.address != "?:0":
        return b"unix:" + session.address.removesuffix(":0").encode()
    return session.address.encode()


def quoted(word: bytes) -> bytes:
    """A word in quotes, odd bytes escaped."""
    return b'"' + _ODD.sub(_escaped, word) + b'"'


def _escaped(found: re.Match[bytes]) -> bytes:
    byte = found.group()
    return _NAMED.get(byte) or b"\\x%02x" % byte[0]


@command("MONITOR", group="server", since="1.0.0", arity=1, flags="admin noscript loading stale")
def monitor(session: Session, args: list[bytes]) -> bytes:
    """Shows this client every command that the server runs."""
    if not session.may_block:
        raise _DENY_BLOCKING
    if _FEATURE in session.features:
        return b""
    session.machine.monitors.add(session)
    return OK
