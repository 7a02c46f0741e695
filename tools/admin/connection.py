"""A blocking connection to one node: commands in, replies out.

Owns the talk with nodes. Rules: it is opened at the first command and again after a failure; it
follows no redirections, because whoever administers a cluster means this very node; every wait is
bounded by the timeout of its `Access`. It is no redis-py: that is no dependency of the package, and
hides from its caller which node answered.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import hiredis
from attrs import evolve, frozen

from ...slots.plan_create import Address
from ..wire import Argument, Reply, Wire, connect
from .failures import ReplyError, UnreachableError, UsageError

#: So many commands are under way at once, so that neither side's buffers fill up.
PIPELINE_MAX: Final = 1000

_WAYS_OUT: Final = {
    "NOAUTH": "give the password: REDISCLI_AUTH, --pass or --askpass",
    "WRONGPASS": "check --user and the password",
    "NOPERM": "use an account that may run CLUSTER, INFO and MIGRATE: --user",
    "DENIED": "protected mode: connect from the node's own host, or set a password",
    "LOADING": "wait until the node has loaded its data set, then try again",
    "CLUSTERDOWN": "look with 'clustrio cluster check', repair with 'clustrio cluster fix'",
    "READONLY": "the node is a replica by now: run the command again, it finds the new master",
    "MOVED": "the slots have changed meanwhile: run the command again",
    "BUSY": "a script is running there: SCRIPT KILL, then try again",
    "MISCONF": "the node cannot save to disk: see its log",
    "OOM": "the node is full: free memory, or raise maxmemory",
}
_DISABLED: Final = "This instance has cluster support disabled"


def display(address: Address) -> str:
    """`host:port`, the host in brackets if it is IPv6."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def parse_address(text: str) -> Address:
    """Read `host:port`, `:port`, `[IPv6]:port` or `redis://host:port`."""
    for scheme in ("redis://", "rediss://"):
        text = text.removeprefix(scheme)
    host, colon, port = text.rstrip("/").partition("@")[0].rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65_536:
        raise UsageError(f"{text!r} is no address: HOST:PORT is wanted, such as 127.0.0.1:7000")
    return Address(host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port))


@frozen
class Tls:
    """How to speak TLS; file names as OpenSSL wants them."""

    ca_file: str | None = None
    ca_folder: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    is_checked: bool = True

    def context(self) -> ssl.SSLContext:
        """What wraps a socket."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file, capath=self.ca_folder)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as failure:
            raise UsageError(f"the TLS files cannot be used: {failure}") from None
        # Nodes are mostly known by address; certificates seldom name those.
        context.check_hostname = self.is_checked and self.server_name is not None
        if not self.is_checked:
            context.verify_mode = ssl.CERT_NONE
        return context


@frozen
class Access:
    """What it takes to be let in."""

    user: str | None = None
    password: str | None = None
    tls: Tls | None = None
    timeout_s: float = 10.0

    def within(self, timeout_s: float) -> "Access":
        """The same with another bound on each wait."""
        return evolve(self, timeout_s=timeout_s)

    def migrate_words(self) -> list[str]:
        """What MIGRATE needs to be let in by the target."""
        if not self.password:
            return []
        return ["AUTH2", self.user, self.password] if self.user else ["AUTH", self.password]


def command_name(arguments: Sequence[Argument]) -> str:
    """What a message says of a command: its words up to the first that may be data."""
    words = [
        part.decode(errors="replace") if isinstance(part, bytes) else str(part)
        for part in arguments[:3]
    ]
    return " ".join(words if words[0].upper() == "CLUSTER" else words[:1])


class Connection:
    """One node."""

    def __init__(self, address: Address, access: Access) -> None:
        self.address = address
        self.access = access
        self._wire: Wire | None = None

    def __repr__(self) -> str:
        return f"<connection to {display(self.address)}>"

    # --- asking -------------------------------------------------------------------------------

    def call(self, *arguments: Argument) -> Reply:
        """One command; raises ReplyError and UnreachableError."""
        (reply,) = self.replies([arguments])
        if isinstance(reply, hiredis.ReplyError):
            raise self.refusal(arguments, reply)
        return reply

    def replies(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Many commands at once; error replies stand among the replies."""
        found: list[Reply] = []
        with self._open_wire() as wire:
            for start in range(0, len(commands), PIPELINE_MAX):
                batch = commands[start : start + PIPELINE_MAX]
                wire.send(*batch)
                found += [wire.read() for _ in batch]
        return found

    def refusal(self, arguments: Sequence[Argument], reply: Exception) -> ReplyError:
        """The error to raise for an error reply."""
        text = str(reply)
        if _DISABLED in text:
            way_out = "set 'cluster-enabled yes' in its configuration and start it again"
        else:
            # MIGRATE passes on what the target has said.
            own = text.rpartition("replied with error: ")[2]
            way_out = _WAYS_OUT.get(
                own.partition(" ")[0], "see the node's log, and 'clustrio cluster check'"
            )
        return ReplyError(display(self.address), command_name(arguments), text, way_out)

    def text(self, *arguments: Argument) -> str:
        """One command whose reply is a text."""
        reply = self.call(*arguments)
        if not isinstance(reply, bytes):
            raise self._odd(arguments, reply)
        return reply.decode(errors="replace")

    def number(self, *arguments: Argument) -> int:
        """One command whose reply is a number."""
        reply = self.call(*arguments)
        if not isinstance(reply, int):
            raise self._odd(arguments, reply)
        return reply

    def items(self, *arguments: Argument) -> list[Reply]:
        """One command whose reply is a list."""
        reply = self.call(*arguments)
        if not isinstance(reply, list):
            raise self._odd(arguments, reply)
        return reply

    def info(self, *sections: str) -> dict[str, str]:
        """INFO as fields."""
        return fields_of(self.text("INFO", *sections))

    def knows(self, *arguments: Argument) -> bool:
        """Whether the node has such a command: a harmless one is tried."""
        try:
            self.call(*arguments)
        except ReplyError as failure:
            if failure.kind in ("NOAUTH", "WRONGPASS"):
                raise
            return False
        return True

    def _odd(self, arguments: Sequence[Argument], reply: Reply) -> ReplyError:
        return ReplyError(
            display(self.address),
            command_name(arguments),
            f"the reply {reply!r} is of another kind than expected",
            "make sure that a Redis, Valkey or Clustrio node listens there",
        )

    # --- the wire -----------------------------------------------------------------------------

    def close(self) -> None:
        """Hang up; the next command connects again."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def send_only(self, *arguments: Argument) -> None:
        """A command whose answer is read with `receive`."""
        with self._open_wire() as wire:
            wire.send(arguments)

    def receive(self) -> bytes:
        """The next bytes as they come; for what is no reply."""
        with self._open_wire() as wire:
            return wire.receive()

    @contextlib.contextmanager
    def _open_wire(self) -> Iterator[Wire]:
        """The wire; a failure closes it and says who failed."""
        try:
            if self._wire is None:
                self._wire = self._connect()
            yield self._wire
        except (OSError, hiredis.ProtocolError) as failure:
            self.close()
            raise UnreachableError(
                f"{display(self.address)} does not answer: {_reason(failure, self.access)}",
                "check that the node runs and that address, port and --tls are right",
            ) from None
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Wire:
        opened = connect(self.address.host, self.address.port, self.access.timeout_s)
        try:
            if self.access.tls is not None:
                name = self.access.tls.server_name or self.address.host
                opened = self.access.tls.context().wrap_socket(opened, server_hostname=name)
            wire = Wire(opened)
            if self.access.password is not None:
                words = [self.access.user] if self.access.user else []
                wire.send(["AUTH", *words, self.access.password])
                reply = wire.read()
                if isinstance(reply, hiredis.ReplyError):
                    raise self.refusal(["AUTH"], reply)
        except BaseException:
            opened.close()
            raise
        return wire


def _reason(failure: Exception, access: Access) -> str:
    if isinstance(failure, TimeoutError):
        return f"nothing came within {access.timeout_s:g} s"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__


def fields_of(text: str) -> dict[str, str]:
    """The `name:value` lines of INFO and CLUSTER INFO."""
    rows = (row.partition(":") for row in text.splitlines() if ":" in row)
    return {name: value.strip() for name, _, value in rows}


def resolved(host: str) -> str:
    """The address of a host: CLUSTER MEET takes no names."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as failure:
        raise UnreachableError(
            f"the host {host!r} is not known: {failure.strerror}", "check the name, or give its IP"
        ) from None


def close_all(connections: Iterable[Connection]) -> None:
    """Hang up on all."""
    for connection in connections:
        connection.close()


def password_from_environment() -> str | None:
    """What redis-cli takes for the password if none is given."""
    return os.environ.get("REDISCLI_AUTH")
