"""Waiting for many client sockets at once, outside trio's own loop.

One poller holds every client socket; trio waits only for the poller's own descriptor. That saves
the cost of a task switch per request (see the data plane in `dataplane.py`).
"""

import select
import sys
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

    def change(self, descriptor: int, *, writable: bool, readable: bool = True) -> None:
        """Say anew what matters: bytes to read, room for writing."""

    def forget(self, descriptor: int) -> None:
        """Stop reporting about a socket that is about to be closed."""

    def poll(self, timeout_s: float) -> list[tuple[int, int]]:
        """Events as (descriptor, READABLE | WRITABLE | BROKEN)."""

    def close(self) -> None:
        """Give the descriptor back."""


if sys.platform == "linux":

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

        def change(self, descriptor: int, *, writable: bool, readable: bool = True) -> None:
            """Say anew what matters: bytes to read, room for writing."""
            self._epoll.modify(
                descriptor, (READABLE if readable else 0) | (WRITABLE if writable else 0)
            )

else:

    class SystemPoller:
        """macOS and the BSDs."""

        def __init__(self) -> None:
            self._kqueue = select.kqueue()
            #: What is watched: (descriptor, filter).
            self._watched: set[tuple[int, int]] = set()
            self.fileno = self._kqueue.fileno
            self.close = self._kqueue.close

        def _switch(self, descriptor: int, kind: int, wanted: bool) -> None:
            if wanted == ((descriptor, kind) in self._watched):
                return
            action = select.KQ_EV_ADD if wanted else select.KQ_EV_DELETE
            self._kqueue.control([select.kevent(descriptor, kind, action)], 0)
            if wanted:
                self._watched.add((descriptor, kind))
            else:
                self._watched.discard((descriptor, kind))

        def watch(self, descriptor: int, *, writable: bool) -> None:
            """Begin to report about a socket."""
            self.change(descriptor, writable=writable)

        def change(self, descriptor: int, *, writable: bool, readable: bool = True) -> None:
            """Say anew what matters: bytes to read, room for writing."""
            self._switch(descriptor, select.KQ_FILTER_READ, readable)
            self._switch(descriptor, select.KQ_FILTER_WRITE, writable)

        def forget(self, descriptor: int) -> None:
            """Stop reporting about a socket."""
            self.change(descriptor, writable=False, readable=False)

        def poll(self, timeout_s: float) -> list[tuple[int, int]]:
            """Events as (descriptor, mask)."""
            found = self._kqueue.control(None, max(1, len(self._watched)), timeout_s)
            return [
                (event.ident, READABLE if event.filter == select.KQ_FILTER_READ else WRITABLE)
                for event in found
            ]
