"""The ports of a cluster, found free and kept so while it lives.

Owns the holding. Rules: a port and its bus port are locked against our own processes by a lock
file, and on Linux bound by a socket that never listens: no stranger gets them between the stop and
the restart of a node, while the node itself, which sets SO_REUSEADDR, can listen there.
"""

import contextlib
import socket
import sys

from ..bench.processes import BUS_OFFSET, ReservedPort, ServerError, reserve_port
from .errors import LocalClusterError
from .shape import HOST, Ports

_PORT_MAX = 65_535


class HeldPorts:
    """Ports for all nodes of a cluster; `close` gives them back."""

    def __init__(self, count: int, first_port: int | None, *, relayed: bool) -> None:
        self._stack = contextlib.ExitStack()
        self.nodes: list[Ports] = []
        #: What holds them; a process that inherits these holds them, too.
        self.descriptors: list[int] = []
        try:
            for index in range(count):
                announced = self._take() if first_port is None else self._hold(first_port + index)
                port = self._take() if relayed else announced
                self.nodes.append(Ports(port, port + BUS_OFFSET, announced, announced + BUS_OFFSET))
        except BaseException:
            self.close()
            raise

    def _take(self) -> int:
        try:
            reserved: ReservedPort = reserve_port()
        except ServerError as failure:
            raise LocalClusterError(str(failure)) from None
        self._stack.callback(reserved.release)
        self.descriptors.append(reserved.descriptor)
        return self._hold(reserved.port)

    def _hold(self, port: int) -> int:
        if port + BUS_OFFSET > _PORT_MAX:
            raise LocalClusterError(
                f"port {port} is too high: its bus port {port + BUS_OFFSET} would be above "
                f"{_PORT_MAX}"
            )
        for number in (port, port + BUS_OFFSET):
            holder = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                holder.bind((HOST, number))
            except OSError as failure:
                holder.close()
                raise LocalClusterError(
                    f"port {number} cannot be had: {failure.strerror}"
                ) from None
            if sys.platform == "linux":
                self._stack.callback(holder.close)
                self.descriptors.append(holder.fileno())
            else:
                # Elsewhere a bound socket would keep the node itself away.
                holder.close()
        return port

    def close(self) -> None:
        """Let others have them."""
        self._stack.close()


def listen(port: int) -> socket.socket:
    """A listening socket on a held port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
