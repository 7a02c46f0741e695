"""The network between the nodes: connections that deliver in order, late or never.

Owns `Network` and `Pipe`, one direction of a connection. Rules:

* As with TCP, what arrives on a connection arrives in order and once; a lost packet is sent again
  and is late; between connections any order is possible.
* Where a direction is cut, packets wait in their pipe; when it heals they arrive, unless the
  connection has ended in the meantime. Nobody is told of a cut.
* Whoever sends on a connection that the other end has forgotten is told by a reset.
* Connecting to a dead process is refused at once; to a machine that is off, or across a cut, never.
"""

from typing import Final

from attrs import Factory, define

from ...gossip.inputs import LinkAccepted, LinkClosed, LinkEstablished, LinkFailed, MessageReceived
from ...gossip.messages import Message
from ...gossip.outputs import Connect
from ...gossip.state import LinkId
from ...gossip.wire import decode_untrusted, encode
from .process import Process
from .queue import Queue
from .swarm import Options

RETRANSMIT_MS: Final = 200
UNREACHABLE_MS: Final = 1_000


@define(eq=False)
class Pipe:
    """One direction of a connection."""

    source: Process
    source_link: LinkId
    source_boot: int
    target: Process
    target_link: LinkId
    target_boot: int
    arrives_at: int = 0
    """When the last packet does; none may come before it."""
    stalled: list[Message | None] = Factory(list)
    """What is held up by a cut; None is the end of the stream."""


@define(eq=False)
class Network:
    """All connections, and what is wrong with them."""

    options: Options
    queue: Queue
    addresses: dict[str, Process] = Factory(dict)
    cuts: dict[tuple[int, int], int] = Factory(dict)
    """How many faults cut the way from one node to another."""
    slow_ms: dict[int, int] = Factory(dict)
    stalled: list[Pipe] = Factory(list)
    message_count: int = 0

    # ---- faults ----

    def is_cut(self, source: Process, target: Process) -> bool:
        """Whether packets do not get from one to the other."""
        return (source.index, target.index) in self.cuts

    def cut(self, source: int, target: int) -> None:
        """Cuts one direction."""
        self.cuts[source, target] = self.cuts.get((source, target), 0) + 1

    def heal(self, source: int, target: int) -> None:
        """Ends one cut of a direction."""
        left = self.cuts.get((source, target), 0) - 1
        if left > 0:
            self.cuts[source, target] = left
        else:
            self.cuts.pop((source, target), None)

    def heal_all(self) -> None:
        """Ends all faults of the network."""
        self.cuts.clear()
        self.slow_ms.clear()
        self.flush_stalled()

    def flush_stalled(self) -> None:
        """What waited for a cut to heal is sent again some time later."""
        waiting, self.stalled = self.stalled, []
        for pipe in waiting:
            if self.is_cut(pipe.source, pipe.target):
                self.stalled.append(pipe)
            else:
                delay_ms = self.queue.rng.randrange(2 * RETRANSMIT_MS)
                self.queue.push(self.queue.now + delay_ms, self._unstall, pipe, None)

    def _unstall(self, pipe: Pipe, nothing: None) -> None:
        if self.is_cut(pipe.source, pipe.target):
            self.stalled.append(pipe)
            return
        waiting, pipe.stalled = pipe.stalled, []
        for message in waiting:
            self._deliver(pipe, message)

    def reset(self, process: Process, link_id: LinkId) -> None:
        """Breaks a connection: both ends are told."""
        pipe = process.pipes.get(link_id)
        if pipe is not None:
            self._reset_end(pipe.source, pipe.source_link, pipe.source_boot)
            self._reset_end(pipe.target, pipe.target_link, pipe.target_boot)

    # ---- connections ----

    def connect(self, process: Process, order: Connect) -> None:
        """Begins to connect."""
        process.connecting.add(order.link_id)
        boot, target = process.boot, self.addresses.get(order.ip)
        if target is None or not target.has_power:
            if self.options.refuses_at_once:
                when = self.queue.now + UNREACHABLE_MS
                self.queue.push(when, self._fail, process, (boot, order.link_id))
            return
        when = self.queue.now + self.delay_ms(process, target) + self.delay_ms(target, process)
        self.queue.push(when, self._connected, process, (boot, order.link_id, target))

    def _fail(self, process: Process, what: tuple[int, LinkId]) -> None:
        boot, link_id = what
        if process.boot == boot and link_id in process.connecting:
            process.connecting.discard(link_id)
            process.receive(LinkFailed(link_id))

    def _connected(self, process: Process, what: tuple[int, LinkId, Process]) -> None:
        boot, link_id, target = what
        if process.boot != boot or link_id not in process.connecting or not target.has_power:
            return
        if self.is_cut(process, target) or self.is_cut(target, process):
            return
        process.connecting.discard(link_id)
        if not target.is_up:
            process.receive(LinkFailed(link_id))
            return
        if target.is_deaf:
            process.receive(LinkEstablished(link_id, process.ip))
            process.receive(LinkClosed(link_id))
            return
        there = target.next_inbound
        target.next_inbound -= 1
        process.pipes[link_id] = Pipe(process, link_id, boot, target, there, target.boot)
        target.pipes[there] = Pipe(target, there, target.boot, process, link_id, boot)
        target.receive(LinkAccepted(there, process.ip, target.ip))
        process.receive(LinkEstablished(link_id, process.ip))

    def close(self, process: Process, link_id: LinkId) -> None:
        """One end closes: the other is told after all that was sent before."""
        process.connecting.discard(link_id)
        pipe = process.pipes.pop(link_id, None)
        if pipe is not None:
            self._push(pipe, None)

    def forget(self, process: Process) -> None:
        """A process died: its machine closes all its connections."""
        for link_id in list(process.pipes):
            self.close(process, link_id)
        process.connecting.clear()

    # ---- packets ----

    def send(self, process: Process, link_id: LinkId, message: Message) -> None:
        """Sends a message."""
        pipe = process.pipes.get(link_id)
        if pipe is None:
            return
        self.message_count += 1
        if self.options.through_wire:
            message = decode_untrusted(encode(message))
        self._push(pipe, message)

    def _push(self, pipe: Pipe, message: Message | None) -> None:
        delay_ms = self.delay_ms(pipe.source, pipe.target)
        pipe.arrives_at = max(pipe.arrives_at, self.queue.now + delay_ms)
        self.queue.push(pipe.arrives_at, self._deliver, pipe, message)

    def delay_ms(self, source: Process, target: Process) -> int:
        """How long a packet takes."""
        options, rng = self.options, self.queue.rng
        delay = options.latency_ms
        if options.jitter_ms:
            delay += rng.randrange(options.jitter_ms)
        if options.loss_percent and rng.randrange(100) < options.loss_percent:
            delay += RETRANSMIT_MS
        if self.slow_ms:
            delay += self.slow_ms.get(source.index, 0) + self.slow_ms.get(target.index, 0)
        return delay

    def _deliver(self, pipe: Pipe, message: Message | None) -> None:
        target = pipe.target
        if pipe.stalled or (self.cuts and self.is_cut(pipe.source, target)):
            if not pipe.stalled:
                self.stalled.append(pipe)
            pipe.stalled.append(message)
            return
        if not target.has_power:
            return
        there = target.pipes.get(pipe.target_link)
        if target.boot != pipe.target_boot or there is None:
            if message is not None:
                self._tell_reset(pipe)
            return
        if message is None:
            del target.pipes[pipe.target_link]
            target.receive(LinkClosed(pipe.target_link))
        else:
            target.receive(MessageReceived(pipe.target_link, message))

    def _tell_reset(self, pipe: Pipe) -> None:
        if self.is_cut(pipe.target, pipe.source):
            return
        when = self.queue.now + self.delay_ms(pipe.target, pipe.source)
        end = (pipe.source_link, pipe.source_boot)
        self.queue.push(when, self._on_reset, pipe.source, end)

    def _on_reset(self, process: Process, end: tuple[LinkId, int]) -> None:
        self._reset_end(process, *end)

    def _reset_end(self, process: Process, link_id: LinkId, boot: int) -> None:
        if process.boot == boot and process.pipes.pop(link_id, None) is not None:
            process.receive(LinkClosed(link_id))
