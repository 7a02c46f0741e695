"""Directives that CONFIG SET changes under a running server's feet: sockets, limits, the log.

A hook here either brings the server to the new value or returns why it cannot; the configuration
then puts the old value back and calls the hook again.
"""

import resource
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..config.syntax import bytes_from
from .files import DiskFiles, replace_file
from .listeners import CannotListenError, open_tcp_listeners

if TYPE_CHECKING:
    from .server import Server

#: Descriptors that are not clients: listeners, files, the bus.
RESERVED_DESCRIPTORS: Final = 32


class ServerConfigFile:
    """The file that the server was started with."""

    def __init__(self, path: str) -> None:
        self.path: Final = path

    def read(self) -> str:
        """Its text; empty if somebody took it away."""
        try:
            return DiskFiles().read(self.path)
        except FileNotFoundError:
            return ""

    def replace(self, text: str) -> None:
        """Give it a new text, so that it is never seen half written."""
        replace_file(self.path, bytes_from(text))


class LiveSettings:
    """Keeps one server in step with its configuration."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._config = server.config
        #: The addresses and the port that clients are served on now.
        self._bound = (self._config.bind, self._config.port)
        hooks: tuple[tuple[str, Callable[[], str | None]], ...] = (
            ("port", self._rebind_port),
            ("bind", self._rebind_addresses),
            ("maxclients", self._make_room),
            ("loglevel", self._set_log_level),
        )
        for name, hook in hooks:
            self._config.on_change(name, hook)

    def _rebind_port(self) -> str | None:
        if self._config.cluster_enabled and self._config.port != self._bound[1]:
            return "a cluster node keeps its port while it runs: other nodes know it by it"
        if self._rebind():
            return None
        return "Unable to listen on this port. Check server logs."

    def _rebind_addresses(self) -> str | None:
        return None if self._rebind() else "Failed to bind to specified addresses."

    def _rebind(self) -> bool:
        """Serve clients on the configured addresses instead of the old ones."""
        server = self._server
        wanted = (self._config.bind, self._config.port)
        if wanted == self._bound:
            return True
        # The old sockets go first: one of them may hold an address that is wanted again.
        for listener in [each for each in server.listeners if each.family != socket.AF_UNIX]:
            server.plane.stop_listening(listener)
            server.listeners.remove(listener)
            listener.close()
        self._bound = ((), 0)
        if self._config.port:
            try:
                opened = open_tcp_listeners(self._config, self._config.port, server.log)
            except CannotListenError as failure:
                server.log.warning(str(failure))
                return False
            for listener in opened:
                server.listeners.append(listener)
                server.plane.listen(listener, server.admit)
        self._bound = wanted
        return True

    def _make_room(self) -> str | None:
        """`maxclients` needs as many descriptors."""
        possible = possible_clients(self._config.maxclients)
        if possible >= self._config.maxclients:
            return None
        return (
            "The operating system is not able to handle the specified number of clients, try with "
            f"{possible}"
        )

    def _set_log_level(self) -> None:
        self._server.log.level = self._config.loglevel


def possible_clients(wanted: int) -> int:
    """Ask for descriptors for so many clients; returns how many there can be, at most `wanted`."""
    descriptors = wanted + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= descriptors:
        return wanted
    ceiling = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
    except (OSError, ValueError):
        ceiling = soft
    return min(wanted, max(1, ceiling - RESERVED_DESCRIPTORS))
