"""TLS for the sockets of a node: contexts from the configuration, and encrypted sockets.

A `TlsSocket` is a socket to everybody else: plain bytes in, plain bytes out, `BlockingIOError` when
there are none. It never keeps plain bytes back, for the poller knows only of the kernel's. What
comes before, the handshake, is not the data plane's business: see `tls_handshakes.py`.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from ..config import Config

#: How long a handshake on a link between nodes may take.
_HANDSHAKE_TIMEOUT_S: Final = 10.0
_CHUNK_BYTES: Final = 64 * 1024
#: The longest record, with its frame: nothing is gained by fetching less.
_RECORD_BYTES: Final = 16 * 1024 + 512
#: As much is encrypted at once; the rest waits until the kernel has taken that.
_ENCRYPTED_AT_ONCE_BYTES: Final = 256 * 1024

#: In their order.
_VERSIONS: Final = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
_DEFAULT_VERSIONS: Final = "tlsv1.2 tlsv1.3"
_CLIENT_CHECKS: Final = {
    "yes": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "no": ssl.CERT_NONE,
}


class TlsSetupError(Exception):
    """The directives or files do not make a working TLS; the text is for the log."""


@frozen
class TlsContexts:
    """What both kinds of handshakes go by."""

    #: For those who connect to us.
    server: ssl.SSLContext
    #: For the node as a client, on the bus and towards its primary.
    client: ssl.SSLContext


# --- contexts --------------------------------------------------------------------------------


def is_tls_wanted(config: Config) -> bool:
    """Whether anything is to be encrypted."""
    return bool(config.tls_port or config.tls_cluster or config.tls_replication)


def make_contexts(config: Config) -> TlsContexts:
    """Contexts as the configuration has them now; raises TlsSetupError."""
    if not config.tls_cert_file:
        raise TlsSetupError("No tls-cert-file configured!")
    if not config.tls_key_file:
        raise TlsSetupError("No tls-key-file configured!")
    checks_peers = config.tls_cluster or config.tls_replication or config.tls_auth_clients != "no"
    has_authority = bool(config.tls_ca_cert_file or config.tls_ca_cert_dir)
    if checks_peers and not has_authority:
        raise TlsSetupError(
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, "
            "tls-replication or tls-auth-clients are enabled!"
        )
    server = _context(config, ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = _CLIENT_CHECKS[config.tls_auth_clients]
    _load_identity(
        server, config.tls_cert_file, config.tls_key_file, config.tls_key_file_pass or ""
    )
    if config.tls_dh_params_file:
        _try("DH parameters", config.tls_dh_params_file, server.load_dh_params)
    if config.tls_prefer_server_ciphers:
        server.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if not config.tls_session_caching:
        server.options |= ssl.OP_NO_TICKET
        server.num_tickets = 0
    client = _context(config, ssl.PROTOCOL_TLS_CLIENT)
    # Nodes know each other by addresses that no certificate lists; it is the authority that counts.
    client.check_hostname = False
    client.verify_mode = ssl.CERT_REQUIRED
    if config.tls_client_cert_file:
        _load_identity(
            client,
            config.tls_client_cert_file,
            config.tls_client_key_file or config.tls_client_cert_file,
            config.tls_client_key_file_pass or "",
        )
    else:
        _load_identity(
            client, config.tls_cert_file, config.tls_key_file, config.tls_key_file_pass or ""
        )
    return TlsContexts(server, client)


def _context(config: Config, protocol: int) -> ssl.SSLContext:
    """What holds for both directions."""
    context = ssl.SSLContext(protocol)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.minimum_version, context.maximum_version = _version_range(config.tls_protocols)
    if config.tls_ciphers:
        _try("tls-ciphers", config.tls_ciphers, context.set_ciphers)
    if config.tls_ca_cert_file or config.tls_ca_cert_dir:
        try:
            context.load_verify_locations(
                config.tls_ca_cert_file or None, config.tls_ca_cert_dir or None
            )
        except OSError as failure:
            raise TlsSetupError(f"Failed to load CA certificates: {failure}") from None
    return context


def _version_range(text: str | None) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    """The lowest and the highest version that `tls-protocols` names."""
    wanted = set((text or _DEFAULT_VERSIONS).lower().split())
    if not wanted or not wanted <= _VERSIONS.keys():
        raise TlsSetupError(
            "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' "
            "and 'TLSv1.3'."
        )
    places = [place for place, version in enumerate(_VERSIONS) if version in wanted]
    if places[-1] - places[0] >= len(places):
        raise TlsSetupError("Invalid tls-protocols specified. Leave out none between two versions.")
    versions = [*_VERSIONS.values()]
    return versions[places[0]], versions[places[-1]]


def _load_identity(context: ssl.SSLContext, certificate: str, key: str, password: str) -> None:
    for path in (certificate, key):
        if not Path(path).is_file():
            raise TlsSetupError(f"Failed to load certificate or key: {path}: no such file")
    try:
        # Without a password of ours OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: password)
    except OSError as failure:
        raise TlsSetupError(
            f"Failed to load certificate or key: {certificate}: {failure}"
        ) from None


def _try(what: str, value: str, load: Callable[[str], None]) -> None:
    try:
        load(value)
    except OSError as failure:
        raise TlsSetupError(f"Failed to configure {what} '{value}': {failure}") from None


# --- links between nodes ---------------------------------------------------------------------


async def wrap_incoming(
    stream: trio.SocketStream, contexts: TlsContexts
) -> "trio.SSLStream[trio.SocketStream]":
    """Be the server of a handshake on a stream; raises trio.BrokenResourceError or TooSlowError."""
    # A peer that just goes away says no proper goodbye, as with HTTPS, and need not get one.
    return await _wrap(
        trio.SSLStream(stream, contexts.server, server_side=True, https_compatible=True)
    )


async def wrap_outgoing(
    stream: trio.SocketStream, contexts: TlsContexts
) -> "trio.SSLStream[trio.SocketStream]":
    """Be the client of a handshake on a stream; raises trio.BrokenResourceError or TooSlowError."""
    return await _wrap(trio.SSLStream(stream, contexts.client, https_compatible=True))


async def dial(host: str, port: int, contexts: TlsContexts | None) -> trio.abc.Stream:
    """A connection to another node, encrypted if links are; raises what its two steps raise."""
    stream = await trio.open_tcp_stream(host, port)
    return stream if contexts is None else await wrap_outgoing(stream, contexts)


async def _wrap(
    stream: "trio.SSLStream[trio.SocketStream]",
) -> "trio.SSLStream[trio.SocketStream]":
    """Shake hands; a connection that does not get that far is closed."""
    try:
        with trio.fail_after(_HANDSHAKE_TIMEOUT_S):
            await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


# --- after the handshake ---------------------------------------------------------------------


class TlsSocket(socket.socket):
    """A non-blocking socket of bytes that travel encrypted."""

    def __init__(
        self,
        descriptor: int,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        super().__init__(fileno=descriptor)
        self.setblocking(False)
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        #: Encrypted bytes that the kernel did not take yet.
        self._unsent = memoryview(b"")
        #: Plain bytes that are encrypted, but were reported as not sent: `_unsent` holds them, and
        #: the caller must come back for them, or nobody would wait for room in the kernel.
        self._owed = 0
        self._has_ended = False

    @property
    def has_early_data(self) -> bool:
        """Whether the peer's first words came along with the end of the handshake."""
        return bool(self._incoming.pending or self._tls.pending())

    def recv(self, size: int, flags: int = 0) -> bytes:
        """All plain bytes that are there; `size` says how many encrypted ones to fetch at least."""
        try:
            data = super().recv(max(size, _RECORD_BYTES), flags)
        except (BlockingIOError, InterruptedError):
            pass
        else:
            self._has_ended = self._has_ended or not data
            self._incoming.write(data)
        pieces: list[bytes] = []
        try:
            while self._incoming.pending or self._tls.pending():
                piece = self._tls.read(_CHUNK_BYTES)
                if not piece:
                    self._has_ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        if self._outgoing.pending:
            # Something of the protocol's own, a new key perhaps.
            with contextlib.suppress(BlockingIOError, InterruptedError):
                self._flush()
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._has_ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:  # type: ignore[override]
        """Encrypt and send; returns how many plain bytes need not be given again.

        Whoever was told that some are left must begin the next call with these very bytes.
        """
        owed = self._owed
        self._flush()
        self._owed = 0
        if owed == len(data):
            return owed
        taken = owed + self._tls.write(memoryview(data)[owed : owed + _ENCRYPTED_AT_ONCE_BYTES])
        try:
            self._flush()
        except (BlockingIOError, InterruptedError):
            self._owed = 1
            return taken - 1
        return taken

    def _flush(self) -> None:
        """Send everything encrypted, or raise BlockingIOError and keep the rest."""
        if self._outgoing.pending:
            self._unsent = memoryview(bytes(self._unsent) + self._outgoing.read())
        while self._unsent:
            self._unsent = self._unsent[super().send(self._unsent) :]

    def close(self) -> None:
        """Say goodbye, as far as that is possible without waiting, and close."""
        if self.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                self._flush()
        super().close()
