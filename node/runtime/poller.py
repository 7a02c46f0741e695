"""Waiting for many client sockets at once, outside trio's own loop.

One poller holds every client socket; trio waits only for the poller's own descriptor. That saves the
cost of a task switch per request (see the data plane in `dataplane.py`).
"""

import select
from typing import Final, Protocol

READABLE: Final = 1
WRITABLE: Final = 4
BROKEN: Final = 8 | 16


class Poller(Protocol):
    """What the data plane needs of the operating system."""

    def fileno(self) -> int:
        """The descriptor that is readable while events are waiting."""

    def watch(self, descriptor: int, *, writable: bool) -> None:
        """Begin to report when a socket can be read (and, if asked, written)."""

    def change(self, descriptor: int, *, writable: bool) -> None:
        """Say anew whether room for writing matters."""

    def forget(self, descriptor: int) -> None:
        """Stop reporting about a socket that is about to be closed."""

    def poll(self, timeout_s: float) -> list[tuple[int, int]]:
        """Events as (descriptor, READABLE | WRITABLE | BROKEN)."""

    def close(self) -> None:
        """Give the descriptor back."""


if hasattr(select, "epoll"):

    class SystemPoller:
        """Linux."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self.poll = self._epoll.poll
            self.fileno = self._epoll.fileno
            self.close = self._epoll.close
            self.forget = self._epoll.unregister

        def watch(self, descriptor: int, *, writable: bool) -> None:
            """Begin to report about a socket."""
            self._epoll.register(descriptor, READABLE | (WRITABLE if writable else 0))

        def change(self, descriptor: int, *, writable: bool) -> None:
            """Say anew whether room for writing matters."""
            self._epoll.modify(descriptor, READABLE | (WRITABLE if writable else 0))

else:  # pragma: no cover

    class SystemPoller:
        """macOS and the BSDs."""

        def __init__(self) -> None:
            self._kqueue = select.kqueue()
            self._writable: set[int] = set()
            self._watched = 0
            self.fileno = self._kqueue.fileno
            self.close = self._kqueue.close

        def _control(self, descriptor: int, kind: int, action: int) -> None:
            self._kqueue.control([select.kevent(descriptor, kind, action)], 0)

        def watch(self, descriptor: int, *, writable: bool) -> None:
            """Begin to report about a socket."""
            self._control(descriptor, select.KQ_FILTER_READ, select.KQ_EV_ADD)
            self._watched += 1
            self.change(descriptor, writable=writable)

        def change(self, descriptor: int, *, writable: bool) -> None:
            """Say anew whether room for writing matters."""
            if writable and descriptor not in self._writable:
                self._writable.add(descriptor)
                self._control(descriptor, select.KQ_FILTER_WRITE, select.KQ_EV_ADD)
            elif not writable and descriptor in self._writable:
                self._writable.discard(descriptor)
                self._control(descriptor, select.KQ_FILTER_WRITE, select.KQ_EV_DELETE)

        def forget(self, descriptor: int) -> None:
            """Stop reporting about a socket."""
            self.change(descriptor, writable=False)
            self._control(descriptor, select.KQ_FILTER_READ, select.KQ_EV_DELETE)
            self._watched -= 1

        def poll(self, timeout_s: float) -> list[tuple[int, int]]:
            """Events as (descriptor, mask)."""
            found = self._kqueue.control(None, max(1, self._watched * 2), timeout_s)
            return [
                (event.ident, READABLE if event.filter == select.KQ_FILTER_READ else WRITABLE)
                for event in found
            ]
