"""Handshakes under way: thousands at a time, without any of them holding up a client.

Rules:

* Sockets in the middle of a handshake sit in a poller of their own. Only a few of them get a turn
  before everybody else does, however many have something to say or hang up at once.
* The arithmetic of a handshake is done in a worker thread, where OpenSSL lets go of Python's lock;
  one at a time, first come, first served.
* Nobody is waited for: a peer that has not finished after ten seconds is cut off, and so is one
  that tells too much, or does not take what it is told.
"""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

import trio

from .poller import SystemPoller
from .tls import TlsSocket

HANDSHAKE_TIMEOUT_S: Final = 10.0
#: Longer hellos and certificate chains than this are no honest ones.
_MAX_BYTES: Final = 128 * 1024
_CHUNK_BYTES: Final = 64 * 1024
#: How many peers get a turn at once.
_TURNS: Final = 16
_TIDY_PAUSE_S: Final = 0.5


class _Handshake:
    """One peer, and how far it has come."""

    __slots__ = (
        "ends_at_s",
        "incoming",
        "is_over",
        "is_watched",
        "outgoing",
        "peer",
        "received",
        "tls",
    )

    def __init__(self, peer: socket.socket, context: ssl.SSLContext) -> None:
        self.peer = peer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.received = 0
        self.ends_at_s = monotonic() + HANDSHAKE_TIMEOUT_S
        self.is_over = False
        self.is_watched = True

    def read(self) -> None:
        """Take what the peer says; raises OSError if it is of no use."""
        data = self.peer.recv(_CHUNK_BYTES)
        self.received += len(data)
        if not data or self.received > _MAX_BYTES:
            raise ConnectionAbortedError("the peer gave up, or told too much")
        self.incoming.write(data)

    def answer(self) -> None:
        """Send what the protocol wants sent; it is little, so the kernel must take it at once."""
        while data := self.outgoing.read():
            if self.peer.send(data) != len(data):
                raise ConnectionAbortedError("the peer does not listen")


class Handshakes:
    """All handshakes of one TLS port."""

    def __init__(
        self, on_done: Callable[[TlsSocket], None], on_failure: Callable[[OSError], None]
    ) -> None:
        self._on_done = on_done
        self._on_failure = on_failure
        self._poller = SystemPoller()
        self._under_way: dict[int, _Handshake] = {}
        #: In the order in which they began, and so in which their time is up.
        self._by_age: deque[_Handshake] = deque()
        #: Those who have said something that must be looked at.
        self._ready: deque[_Handshake] = deque()
        self._is_any_ready = trio.Event()

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, peer: socket.socket, context: ssl.SSLContext) -> None:
        """Be the server of a handshake with a peer that has just connected."""
        peer.setblocking(False)
        handshake = _Handshake(peer, context)
        self._under_way[peer.fileno()] = handshake
        self._by_age.append(handshake)
        self._poller.watch(peer.fileno(), writable=False)

    async def run(self) -> None:
        """Carry handshakes on until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            nursery.start_soon(self._calculate)
            nursery.start_soon(self._tidy)

    def close(self) -> None:
        """The node stops."""
        for handshake in list(self._under_way.values()):
            self._drop(handshake)
        self._poller.close()

    async def _listen(self) -> None:
        descriptor = self._poller.fileno()
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            events = self._poller.poll(0)
            for start in range(0, len(events), _TURNS):
                for ready, _ in events[start : start + _TURNS]:
                    handshake = self._under_way.get(ready)
                    if handshake is not None:
                        self._hear(handshake)
                await trio.lowlevel.checkpoint()

    def _hear(self, handshake: _Handshake) -> None:
        try:
            handshake.read()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as failure:
            self._fail(handshake, failure)
            return
        # Until that has been looked at nothing more is wanted, not even that the peer is gone: the
        # worker thread has the buffers now.
        self._poller.forget(handshake.peer.fileno())
        handshake.is_watched = False
        self._ready.append(handshake)
        self._is_any_ready.set()

    async def _calculate(self) -> None:
        while True:
            while not self._ready:
                self._is_any_ready = trio.Event()
                await self._is_any_ready.wait()
            handshake = self._ready.popleft()
            if handshake.is_over:
                continue
            is_done = False
            try:
                await trio.to_thread.run_sync(handshake.tls.do_handshake)
                is_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as failure:
                # What is left to send is the alert that says why.
                with contextlib.suppress(OSError):
                    handshake.answer()
                self._fail(handshake, failure)
                continue
            self._go_on(handshake, is_done)

    def _go_on(self, handshake: _Handshake, is_done: bool) -> None:
        if handshake.is_over:
            return
        try:
            handshake.answer()
        except OSError as failure:
            self._fail(handshake, failure)
            return
        if not is_done:
            self._poller.watch(handshake.peer.fileno(), writable=False)
            handshake.is_watched = True
            return
        self._forget(handshake)
        self._on_done(
            TlsSocket(
                handshake.peer.detach(), handshake.tls, handshake.incoming, handshake.outgoing
            )
        )

    async def _tidy(self) -> None:
        """Cut off those whose time is up, a few at a time."""
        while True:
            await trio.sleep(_TIDY_PAUSE_S)
            now_s = monotonic()
            while self._by_age and (self._by_age[0].is_over or self._by_age[0].ends_at_s <= now_s):
                for _ in range(min(_TURNS, len(self._by_age))):
                    oldest = self._by_age[0]
                    if not oldest.is_over and oldest.ends_at_s > now_s:
                        break
                    self._by_age.popleft()
                    if not oldest.is_over:
                        self._fail(oldest, TimeoutError("the handshake took too long"))
                await trio.lowlevel.checkpoint()

    def _fail(self, handshake: _Handshake, failure: OSError) -> None:
        if not handshake.is_over:
            self._drop(handshake)
            self._on_failure(failure)

    def _drop(self, handshake: _Handshake) -> None:
        self._forget(handshake)
        handshake.peer.close()

    def _forget(self, handshake: _Handshake) -> None:
        descriptor = handshake.peer.fileno()
        handshake.is_over = True
        if handshake.is_watched:
            self._poller.forget(descriptor)
        del self._under_way[descriptor]
