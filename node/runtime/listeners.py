"""The sockets that clients connect to: TCP addresses from `bind`, and a unix socket."""

import contextlib
import os
import socket
from typing import Final

from ..config import Config
from .log import RedisLog

_ALL_IPV4: Final = "*"
_ALL_IPV6: Final = "::*"


class CannotListenError(Exception):
    """No (mandatory) address could be bound; the text is for the log."""


def open_tcp_listeners(config: Config, port: int, log: RedisLog) -> list[socket.socket]:
    """One listening socket per `bind` address; addresses marked with `-` may be missing."""
    listeners: list[socket.socket] = []
    for address in config.bind:
        optional = address.startswith("-")
        host = address.removeprefix("-")
        try:
            listeners.append(_listen_tcp(host, port, config.tcp_backlog))
        except OSError as failure:
            if optional and _is_absent(failure):
                continue
            log.warning(
                "Warning: Could not create server TCP listening socket "
                f"{host}:{port}: bind: {failure.strerror}",
            )
            if optional:
                continue
            for listener in listeners:
                listener.close()
            raise CannotListenError(f"Failed listening on port {port} (tcp), aborting.") from None
    if not listeners:
        raise CannotListenError(f"Failed listening on port {port} (tcp), aborting.")
    return listeners


def _listen_tcp(host: str, port: int, backlog: int) -> socket.socket:
    if host in (_ALL_IPV4, ""):
        family, address = socket.AF_INET, "0.0.0.0"
    elif host == _ALL_IPV6:
        family, address = socket.AF_INET6, "::"
    else:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, address = found[0][0], str(found[0][4][0])
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def _is_absent(failure: OSError) -> bool:
    """The address or its whole family does not exist on this machine."""
    import errno

    return failure.errno in (
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.ENOPROTOOPT,
        errno.EPROTONOSUPPORT,
    )


def open_unix_listener(path: str, mode: int, backlog: int) -> socket.socket:
    """A listening unix socket whose permissions are right before anybody can connect."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        if mode:
            os.chmod(path, mode)
        # Only a listening socket can be connected to, so the mode cannot come too late.
        listener.listen(backlog)
    except OSError as failure:
        listener.close()
        raise CannotListenError(f"Failed opening Unix socket: bind: {failure.strerror}") from None
    return listener


def tune_client(client: socket.socket, keepalive_s: int) -> None:
    """Send small replies at once, and notice peers that vanished."""
    if client.family == socket.AF_UNIX:
        return
    with contextlib.suppress(OSError):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not keepalive_s:
            return
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
        if idle is not None:
            client.setsockopt(socket.IPPROTO_TCP, idle, keepalive_s)
        if hasattr(socket, "TCP_KEEPINTVL"):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, keepalive_s // 3))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def plain_ip(address: str) -> str:
    """An IPv4 address that came in through an IPv6 socket, as people write it."""
    return address.removeprefix("::ffff:")


def is_loopback(client: socket.socket) -> bool:
    """Whether a peer sits on this machine."""
    if client.family == socket.AF_UNIX:
        return True
    try:
        host = str(client.getpeername()[0])
    except OSError:
        # Gone already: whatever is decided does not matter.
        return False
    return plain_ip(host).startswith("127.") or host == "::1"
