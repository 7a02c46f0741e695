"""The TLS port: connections come in, shake hands, and become clients; and its live settings.

Handshakes count towards `maxclients`, so that they cannot use up all descriptors.
"""

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import trio

from ..config.syntax import ConfigError
from .listeners import CannotListenError, open_tcp_listeners
from .poller import READABLE
from .tls import TlsContexts, TlsSetupError, TlsSocket, is_tls_wanted, make_contexts
from .tls_handshakes import Handshakes

if TYPE_CHECKING:
    from .server import Server

#: After one of these the contexts are made anew.
_DIRECTIVES: Final = (
    *("tls-cert-file", "tls-key-file", "tls-key-file-pass"),
    *("tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass"),
    *("tls-dh-params-file", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-auth-clients"),
    *("tls-replication", "tls-cluster", "tls-protocols", "tls-ciphers"),
    *("tls-prefer-server-ciphers", "tls-session-caching"),
)
#: More would hold up the clients, fewer those who want to become some.
_ACCEPTS_AT_ONCE: Final = 8
#: What to do when there are no descriptors left: wait.
_ACCEPT_PAUSE_S: Final = 0.1


class TlsServer:
    """Everything about TLS in one server process."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._config = server.config
        #: None while nothing is to be encrypted. New handshakes go by it; those under way do not.
        self.contexts: TlsContexts | None = None
        self._listeners: list[socket.socket] = []
        self._bound: tuple[tuple[str, ...], int] = ((), 0)
        self._nursery: trio.Nursery | None = None
        self.handshakes = Handshakes(self._hand_over, self._on_failure)
        for name in _DIRECTIVES:
            self._config.on_change(name, self._renew)
        for name in ("tls-port", "bind"):
            self._config.on_change(name, self._rebind)

    # --- settings ----------------------------------------------------------------------------

    def open(self) -> None:
        """Read the certificates and bind the port; raises ConfigError or CannotListenError."""
        try:
            self.contexts = make_contexts(self._config) if is_tls_wanted(self._config) else None
        except TlsSetupError as failure:
            self._server.log.warning(str(failure))
            raise ConfigError("Failed to configure TLS. Check logs for more info.") from None
        self._bind()

    @property
    def is_listening(self) -> bool:
        """Whether there is a TLS port."""
        return bool(self._listeners)

    def maybe_bus_contexts(self) -> TlsContexts | None:
        """What links of the bus are encrypted with; None leaves them plain."""
        return self.contexts if self._config.tls_cluster else None

    def maybe_replication_contexts(self) -> TlsContexts | None:
        """What the link to a primary is encrypted with; None leaves it plain."""
        return self.contexts if self._config.tls_replication else None

    def _renew(self) -> str | None:
        try:
            self.contexts = make_contexts(self._config) if is_tls_wanted(self._config) else None
        except TlsSetupError as failure:
            self._server.log.warning(str(failure))
            return "Unable to update TLS configuration. Check server logs."
        return None

    def _rebind(self) -> str | None:
        if (self._config.bind, self._config.tls_port) == self._bound:
            return None
        reason = self._renew()
        if reason is not None:
            return reason
        self._close_listeners()
        try:
            self._bind()
        except CannotListenError as failure:
            self._server.log.warning(str(failure))
            return "Unable to listen on this port. Check server logs."
        return None

    def _bind(self) -> None:
        config = self._config
        if not config.tls_port:
            return
        for listener in open_tcp_listeners(config, config.tls_port, self._server.log):
            listener.setblocking(False)
            self._listeners.append(listener)
        self._bound = (config.bind, config.tls_port)
        if self._nursery is not None:
            self._start_accepting(self._nursery)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            if self._nursery is not None:
                trio.lowlevel.notify_closing(listener)
            listener.close()
        self._listeners.clear()
        self._bound = ((), 0)

    # --- running -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Accept until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._start_accepting(nursery)
            nursery.start_soon(self.handshakes.run)

    def close(self) -> None:
        """The node stops."""
        self._close_listeners()
        self.handshakes.close()

    def _start_accepting(self, nursery: trio.Nursery) -> None:
        for listener in self._listeners:
            nursery.start_soon(self._accept, listener)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                await trio.lowlevel.wait_readable(listener)
                for _ in range(_ACCEPTS_AT_ONCE):
                    self._begin(listener.accept()[0])
            except trio.ClosedResourceError:
                return
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as failure:
                self._server.log.warning(f"Accepting client connection: {failure.strerror}")
                await trio.sleep(_ACCEPT_PAUSE_S)

    def _begin(self, peer: socket.socket) -> None:
        """One peer, until it is a client or gone."""
        machine = self._server.machine
        is_full = len(machine.sessions) + len(self.handshakes) >= self._config.maxclients
        if self.contexts is None or is_full:
            machine.connections_rejected += 1
            peer.close()
            return
        self.handshakes.begin(peer, self.contexts.server)

    def _on_failure(self, failure: OSError) -> None:
        self._server.log.verbose(f"Error accepting a client connection: {failure}")

    def _hand_over(self, client: TlsSocket) -> None:
        """The peer becomes a client like any other, or hears why not."""
        server = self._server
        refusal = server.admit(client)
        if refusal is not None:
            server.machine.connections_rejected += 1
            with client, contextlib.suppress(OSError):
                client.send(refusal.encode())
            return
        session = server.plane.add(client)
        session.uses_tls = True
        if client.has_early_data:
            # The kernel has nothing of it any more, so no poller would tell.
            server.plane.serve([(session.descriptor, READABLE)])
