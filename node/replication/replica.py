"""A replica's side of the link: what it says to its primary until the data flows.

`Handshake` turns the lines of the primary into the next words to it; the runtime carries them.
Errors that old or strict primaries answer to REPLCONF are no reason to give up.
"""

from enum import Enum
from typing import Final

from attrs import frozen

from ..propagation import encode_command


class LinkState(Enum):
    """How far the link is; the values are those of ROLE."""

    NONE = "none"
    CONNECT = "connect"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    SYNC = "sync"
    CONNECTED = "connected"


class LinkError(Exception):
    """The primary cannot or does not want to; the text is for the log."""


@frozen
class Introduction:
    """What a replica says of itself."""

    user: str | None
    password: str | None
    port: int
    announced_ip: str | None


@frozen
class Continue:
    """The primary goes on where we stopped; it may have a new name for its history."""

    identity: bytes | None


@frozen
class FullCopy:
    """The primary sends everything, as of this moment of its history."""

    identity: bytes
    offset: int


class Step(Enum):
    """What the next line answers."""

    PING = "PING"
    AUTH = "AUTH"
    PORT = "REPLCONF listening-port"
    ADDRESS = "REPLCONF ip-address"
    CAPABILITIES = "REPLCONF capa"
    PSYNC = "PSYNC"


_LOADING: Final = (b"-NOMASTERLINK", b"-LOADING")


class Handshake:
    """One attempt to get the data from the primary."""

    def __init__(
        self,
        introduction: Introduction,
        resume: tuple[bytes, int] | None,
        *,
        is_failover: bool = False,
    ) -> None:
        self._introduction = introduction
        self._resume = resume
        self._is_failover = is_failover
        self._steps: list[Step] = []
        #: What was said at error replies that do no harm.
        self.complaints: list[str] = []

    def begin(self) -> bytes:
        """The first words."""
        self._steps = [Step.PING]
        return encode_command((b"PING",))

    @property
    def step(self) -> Step:
        """What the next line answers."""
        return self._steps[0]

    def on_line(self, line: bytes) -> bytes | Continue | FullCopy:
        """The primary's answer; returns what to say next (perhaps nothing), or how it ends."""
        if not line:
            return b""  # It is alive, and has no answer yet.
        step = self._steps.pop(0)
        if step is Step.PSYNC:
            return self._on_psync(line)
        if step is Step.PING:
            if line[:1] != b"+" and not line.startswith((b"-NOAUTH", b"-NOPERM", b"-ERR oper")):
                raise LinkError(f"Error reply to PING from master: '{_text(line)}'")
            return self._introduce()
        if line[:1] == b"-":
            if step is Step.AUTH:
                raise LinkError(f"Unable to AUTH to MASTER: {_text(line)}")
            self.complaints.append(
                f"(Non critical) Master does not understand {step.value}: {_text(line)}"
            )
        return b"" if self._steps else self._ask()

    def _introduce(self) -> bytes:
        me = self._introduction
        words: list[tuple[Step, tuple[bytes, ...]]] = []
        if me.password is not None:
            login = [b"AUTH"] + ([me.user.encode()] if me.user else []) + [me.password.encode()]
            words.append((Step.AUTH, tuple(login)))
        words.append((Step.PORT, (b"REPLCONF", b"listening-port", b"%d" % me.port)))
        if me.announced_ip:
            words.append((Step.ADDRESS, (b"REPLCONF", b"ip-address", me.announced_ip.encode())))
        capabilities = (b"eof", b"psync2", b"slot-marks")
        asked = [word for name in capabilities for word in (b"capa", name)]
        words.append((Step.CAPABILITIES, (b"REPLCONF", *asked)))
        self._steps = [step for step, _ in words]
        return b"".join(encode_command(args) for _, args in words)

    def _ask(self) -> bytes:
        self._steps = [Step.PSYNC]
        identity, offset = self._resume or (b"?", -1)
        words = [b"PSYNC", identity, b"%d" % offset]
        if self._is_failover:
            words.append(b"FAILOVER")
        return encode_command(words)

    def _on_psync(self, line: bytes) -> Continue | FullCopy:
        words = line.split()
        if words[0] == b"+FULLRESYNC" and len(words) == 3 and len(words[1]) == 40:
            try:
                return FullCopy(words[1], int(words[2]))
            except ValueError:
                raise LinkError(f"Unexpected reply to PSYNC: {_text(line)}") from None
        if words[0] == b"+CONTINUE":
            identity = words[1] if len(words) > 1 and len(words[1]) == 40 else None
            return Continue(identity)
        if line.startswith(_LOADING):
            raise LinkError(
                f"Master is currently unable to PSYNC but should be in the future: {_text(line)}"
            )
        raise LinkError(f"Unexpected reply to PSYNC from master: {_text(line)}")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


EOF_MARK_BYTES: Final = 40


@frozen
class Transfer:
    """How a full copy comes: so many bytes, or until a mark."""

    total_bytes: int | None
    mark: bytes


def read_transfer(line: bytes) -> Transfer | None:
    """The line ahead of a full copy; None for a sign of life. Raises LinkError."""
    if not line:
        return None
    if line.startswith(b"$EOF:") and len(line) >= 5 + EOF_MARK_BYTES:
        return Transfer(None, line[5 : 5 + EOF_MARK_BYTES])
    if line[:1] == b"$" and line[1:].isdigit():
        return Transfer(int(line[1:]), b"")
    if line[:1] == b"-":
        raise LinkError(f"MASTER aborted replication with an error: {_text(line[1:])}")
    raise LinkError(f"Bad protocol from MASTER, the first byte is not '$': {_text(line[:80])}")
