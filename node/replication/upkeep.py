"""What a node does for its replicas as time passes: signs of life, time-outs, limits."""

from typing import TYPE_CHECKING, Final

from ..propagation import encode_command
from ..session import ClientKind
from .primary import Peer, PeerState

if TYPE_CHECKING:
    from ..machine import Machine
    from .state import Replication

PING: Final = encode_command((b"PING",))
_GREETED_EVERY_MS: Final = 1000
#: The offset must stand still while somebody catches up with it. A client's own CLIENT PAUSE is no
#: such reason: replicas would think that we are gone.
_STANDS_STILL: Final = ("failover", "failover-command", "shutdown")


class Upkeep:
    """The part of one node's replication that a clock drives."""

    def __init__(self, machine: "Machine", replication: "Replication") -> None:
        self._machine = machine
        self._replication = replication
        self._pinged_ms = machine.clock.now_ms
        self._greeted_ms = 0

    def on_tick(self) -> None:
        """Called many times a second, while the node has replicas."""
        now_ms = self._machine.clock.now_ms
        self._greet(now_ms)
        self._ping(now_ms)
        for peer in list(self._replication.peers):
            self._judge(peer, now_ms)

    def _greet(self, now_ms: int) -> None:
        """Those who wait for a snapshot hear that we live."""
        if now_ms - self._greeted_ms < _GREETED_EVERY_MS:
            return
        self._greeted_ms = now_ms
        for peer in self._replication.peers:
            if peer.state in (PeerState.WAITS_FOR_SNAPSHOT, PeerState.SNAPSHOT_IS_WRITTEN):
                peer.session.push(b"\n")

    def _ping(self, now_ms: int) -> None:
        period_ms = self._machine.config.repl_ping_replica_period * 1000
        if (
            now_ms - self._pinged_ms >= period_ms
            and not self._replication.is_replica
            and not self._machine.pause.is_for_any(_STANDS_STILL)
        ):
            self._pinged_ms = now_ms
            self._replication.feed(PING)

    def _judge(self, peer: Peer, now_ms: int) -> None:
        """End the connection of a replica that is silent, or for which too much waits."""
        log, silence_ms = self._machine.log, now_ms - peer.acked_ms
        name = self._replication.name(peer)
        if peer.is_online and silence_ms > self._machine.config.repl_timeout * 1000:
            if not peer.is_ancient:
                log.warning(f"Disconnecting timedout replica (streaming sync): {name}")
                peer.session.close(after_reply=False)
        elif reason := self._over_limit(peer, now_ms):
            log.warning(
                f"Client {peer.session.address} scheduled to be closed ASAP for overcoming of "
                f"output buffer limits ({reason})."
            )
            peer.session.close(after_reply=False)

    def _over_limit(self, peer: Peer, now_ms: int) -> str:
        """What waits for the end of a snapshot counts as output, too."""
        limit = self._machine.config.output_limit(ClientKind.REPLICA.value)
        waiting = peer.held_bytes and peer.held_bytes + peer.session.output_bytes
        if limit.hard_bytes and waiting > limit.hard_bytes:
            return "hard limit"
        if not limit.soft_bytes or waiting <= limit.soft_bytes:
            peer.over_soft_limit_since_ms = None
            return ""
        if peer.over_soft_limit_since_ms is None:
            peer.over_soft_limit_since_ms = now_ms
        if now_ms - peer.over_soft_limit_since_ms > limit.soft_seconds * 1000:
            return "soft limit"
        return ""
