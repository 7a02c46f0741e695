"""A relay in front of both ports of every node, where links are cut, slowed and healed.

Owns the links. Rules:

* A cut link loses nothing and says nothing: its bytes stay where they are, as when a cable is out,
  until it is healed; each direction is cut by itself.
* Who speaks is read from what is said, so that real servers need no special options: the first
  packet on a bus link names its sender, and a replica tells its port before it asks for data.
  Everybody else counts as a client.
* TCP repairs losses, so loss is a delay: the time that a retransmission takes.
* Everything here runs in one thread of its own; others hand in calls by `Relay.run`.
"""

import contextlib
import random
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeVar

import trio
from attrs import define, frozen

from .errors import LocalClusterError
from .ports import listen
from .shape import HOST, NodePlan

#: The side of a link that is no node.
CLIENTS: Final = -1
#: What TCP waits at least before it sends again.
RETRANSMISSION_MS: Final = 200.0
_CHUNK_BYTES: Final = 64 * 1024
#: Where a bus packet names its sender.
_SENDER: Final = slice(40, 80)
_LISTENING_PORT: Final = re.compile(rb"listening-port\r\n\$\d+\r\n(\d+)\r\n", re.IGNORECASE)
_CALL_TIMEOUT_S: Final = 10.0
#: A replica says its port at the very beginning.
_GREETING_BYTES_MAX: Final = 4096

T = TypeVar("T")
Pair = tuple[int, int]


@frozen
class Slowness:
    """What a link adds to every piece of data."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    """Share of pieces that have to be sent again."""


class Rules:
    """What is wrong with the links at present."""

    def __init__(self, seed: int) -> None:
        self.cuts: set[Pair] = set()
        self.slow: dict[Pair, Slowness] = {}
        self._chance = random.Random(f"links {seed}")
        self._changed = trio.Event()

    def mend_all(self) -> None:
        """All links are whole and fast again."""
        self.cuts.clear()
        self.slow.clear()

    def change(self) -> None:
        """Wake whoever waits for a link."""
        self._changed.set()
        self._changed = trio.Event()

    async def pass_cut(self, link: "_Link", *, forward: bool) -> None:
        """Return once the link carries data in this direction."""
        while link.pair(forward=forward) in self.cuts:
            await self._changed.wait()

    def delay_s(self, pair: Pair) -> float:
        """How long the next piece of data takes more than usual."""
        slow = self.slow.get(pair)
        if slow is None:
            return 0.0
        delay_ms = slow.latency_ms + slow.jitter_ms * self._chance.random()
        if slow.loss and self._chance.random() < slow.loss:
            delay_ms += RETRANSMISSION_MS
        return delay_ms / 1000


@define
class _Link:
    """One relayed connection."""

    server: int
    client: int = CLIENTS
    is_settled: bool = False
    greeting: bytes = b""

    def pair(self, *, forward: bool) -> Pair:
        return (self.client, self.server) if forward else (self.server, self.client)


class Relay:
    """Stands in front of all nodes of a cluster."""

    def __init__(self, plans: Sequence[NodePlan], seed: int) -> None:
        self._plans = plans
        self._index_of_id = {plan.node_id.encode(): plan.index for plan in plans}
        self._index_of_port: Mapping[int, int] = {
            port: plan.index
            for plan in plans
            for port in (plan.ports.port, plan.ports.announced_port)
        }
        self._seed = seed
        self._fronts: dict[int, list[trio.socket.SocketType]] = {}
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="clustrio-relay", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise LocalClusterError(f"the relay did not start: {self._failure}")

    # --- for other threads ------------------------------------------------------------------

    def run(self, call: Callable[[Rules], T]) -> T:
        """Run something in the relay's thread; whoever waits for a link looks at it again."""

        def run_and_wake() -> T:
            answer = call(self.rules)
            self.rules.change()
            return answer

        return self._call(run_and_wake)

    def _call(self, call: Callable[[], T]) -> T:
        """Wait for the relay's thread; the caller's may run a trio loop of its own."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(call())
            except BaseException as failure:
                answer.set_exception(failure)

        try:
            self._token.run_sync_soon(run)
        except trio.RunFinishedError:
            raise LocalClusterError("the relay has ended") from None
        return answer.result(_CALL_TIMEOUT_S)

    def open_front(self, index: int) -> None:
        """Take connections for a node that is up."""
        self._call(partial(self._open_front, index))

    def close_front(self, index: int) -> None:
        """Refuse connections for a node that is down."""
        self._call(partial(self._close_front, index))

    def close(self) -> None:
        """Close everything and end the thread."""
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
        self._thread.join(timeout=10)

    # --- in the relay's thread --------------------------------------------------------------

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as failure:
            self._failure = failure
            self._started.set()
            raise

    async def _serve(self) -> None:
        self.rules = Rules(self._seed)
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._started.set()
            await trio.sleep_forever()

    def _open_front(self, index: int) -> None:
        if index in self._fronts:
            return
        ports = self._plans[index].ports
        fronts = self._fronts[index] = []
        for announced, target in (
            (ports.announced_port, ports.port),
            (ports.announced_bus_port, ports.bus_port),
        ):
            listener = listen(announced)
            listener.setblocking(False)
            front = trio.socket.from_stdlib_socket(listener)
            fronts.append(front)
            self._nursery.start_soon(self._accept, front, target, index)

    def _close_front(self, index: int) -> None:
        for front in self._fronts.pop(index, ()):
            front.close()

    async def _accept(self, front: trio.socket.SocketType, target: int, index: int) -> None:
        with front:
            while True:
                try:
                    peer, _ = await front.accept()
                except trio.ClosedResourceError:
                    return
                except OSError:
                    # Gone again, or no descriptors left: the next one may do better.
                    await trio.sleep(0.01)
                    continue
                self._nursery.start_soon(self._relay, trio.SocketStream(peer), target, index)

    async def _relay(self, front: trio.SocketStream, target: int, index: int) -> None:
        is_bus = target == self._plans[index].ports.bus_port
        link = _Link(index)
        async with front:
            try:
                data = await self._introduce(front, link) if is_bus else b""
                held = await self._hold(front, link)
                if held is None:
                    return
                data += held
                back = await trio.open_tcp_stream(HOST, target)
            except OSError:
                # The node is down: its front goes down with us, as its port would.
                return
            except trio.BrokenResourceError:
                return
            async with back, trio.open_nursery() as nursery:
                if data:
                    with contextlib.suppress(trio.BrokenResourceError):
                        await back.send_all(data)
                forth = _Direction(self, link, front, back, forward=True)
                nursery.start_soon(forth.run, nursery)
                await _Direction(self, link, back, front, forward=False).run(nursery)

    async def _introduce(self, front: trio.SocketStream, link: _Link) -> bytes:
        """Read as much of a bus link as shows whose it is."""
        data = b""
        while len(data) < _SENDER.stop:
            piece = await front.receive_some(_CHUNK_BYTES)
            data += piece
            if not piece:
                break
        link.client = self._index_of_id.get(data[_SENDER], CLIENTS)
        link.is_settled = True
        return data

    async def _hold(self, front: trio.SocketStream, link: _Link) -> bytes | None:
        """What comes until the link carries data; None if its client gives up before that.

        Over a cut link no connection comes about, so nobody ever hears of one that was given up: of
        all the attempts of a node only the last may arrive when the link is healed.
        """
        held, is_given_up = b"", False
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                await self.rules.pass_cut(link, forward=True)
                nursery.cancel_scope.cancel()

            if link.pair(forward=True) in self.rules.cuts:
                nursery.start_soon(wait)
                while len(held) < _CHUNK_BYTES and not is_given_up:
                    piece = b""
                    with contextlib.suppress(trio.BrokenResourceError):
                        piece = await front.receive_some(_CHUNK_BYTES)
                    held += piece
                    is_given_up = not piece
                if is_given_up:
                    nursery.cancel_scope.cancel()
        return None if is_given_up else held

    def learn(self, link: _Link, data: bytes) -> None:
        """See whether a client turns out to be a replica."""
        link.greeting += data[:_GREETING_BYTES_MAX]
        found = _LISTENING_PORT.search(link.greeting)
        if found is not None:
            link.client = self._index_of_port.get(int(found[1]), CLIENTS)
        link.is_settled = found is not None or len(link.greeting) >= _GREETING_BYTES_MAX
        if link.is_settled:
            link.greeting = b""


class _Direction:
    """One way of a link."""

    def __init__(
        self,
        relay: Relay,
        link: _Link,
        source: trio.SocketStream,
        target: trio.SocketStream,
        *,
        forward: bool,
    ) -> None:
        self._relay = relay
        self._link = link
        self._source = source
        self._target = target
        self._forward = forward
        #: Data on its way over a slow link: (time of arrival, data), and how much there is.
        self._line: trio.MemorySendChannel[tuple[float, bytes]] | None = None
        self._in_line = 0

    async def run(self, nursery: trio.Nursery) -> None:
        """Carry data until this side ends, then tell the other; a broken link ends both ways."""
        rules, link = self._relay.rules, self._link
        try:
            while True:
                data = await self._source.receive_some(_CHUNK_BYTES)
                if self._forward and data and not link.is_settled:
                    self._relay.learn(link, data)
                delay_s = rules.delay_s(link.pair(forward=self._forward))
                if delay_s or self._in_line:
                    await self._delay(nursery, delay_s, data)
                else:
                    await self._deliver(data)
                if not data:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await rules.pass_cut(link, forward=self._forward)
            nursery.cancel_scope.cancel()

    async def _deliver(self, data: bytes) -> None:
        await self._relay.rules.pass_cut(self._link, forward=self._forward)
        if data:
            await self._target.send_all(data)
        elif self._forward:
            await self._target.send_eof()
        else:
            # A server that hangs up wants nothing more either.
            raise trio.BrokenResourceError

    async def _delay(self, nursery: trio.Nursery, delay_s: float, data: bytes) -> None:
        if self._line is None:
            self._line, arrivals = trio.open_memory_channel[tuple[float, bytes]](1024)
            nursery.start_soon(self._run_line, nursery, arrivals)
        self._in_line += 1
        await self._line.send((trio.current_time() + delay_s, data))

    async def _run_line(
        self, nursery: trio.Nursery, arrivals: trio.MemoryReceiveChannel[tuple[float, bytes]]
    ) -> None:
        try:
            async for moment, data in arrivals:
                await trio.sleep_until(moment)
                await self._deliver(data)
                self._in_line -= 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            nursery.cancel_scope.cancel()
