"""A node's part in replication: `machine.replication`.

As a primary it makes one stream of bytes of all that commands did, keeps the end of it, and gives
it to all replicas; each command is encoded once. As a replica it passes the bytes of its primary on
unchanged, so that offsets mean the same everywhere. The runtime owns the sockets: it is told of
orders by `on_order`, and of replicas that need a snapshot by `on_snapshot_wanted`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import frozen

from ..config import Config
from ..config.special_kinds import HostAndPort
from ..effects import EffectBatch
from ..propagation import CommandStream, encode_command
from ..session import ClientKind, Session
from .backlog import Backlog
from .failover import Failover
from .primary import Peer, PeerState
from .psync import NO_ID, History, may_continue
from .refusals import Refusals
from .replica import LinkState
from .upkeep import Upkeep
from .waiting import AckWaits

if TYPE_CHECKING:
    from ..machine import Machine

#: The stream's own word.
GET_ACK: Final = encode_command((b"REPLCONF", b"GETACK", b"*"))
_FORCED_UNBLOCK: Final = (
    b"-UNBLOCKED force unblock from blocking operation, instance state changed "
    b"(master -> replica?)\r\n"
)


@frozen
class Address:
    """Where a primary is."""

    host: str
    port: int


def _nothing() -> None:
    """A machine without a runtime has nobody to tell."""


def _nothing_with(peer: Peer) -> None:
    """Nor has it sockets to tune."""


class Replication:
    """Both sides of one node."""

    #: A consumer of effects that sends commands on, and looks at nothing else.
    wants_events: Final = False

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._effects = machine.keyspace.effects
        self.history = History(machine.replication_id)
        #: The last byte of the stream that was made (primary) or applied (replica).
        self.offset = 0
        self.backlog: Backlog | None = None
        self._stream = CommandStream()
        self._is_observing = False
        self.peers: list[Peer] = []
        self._lonely_since_ms = machine.clock.now_ms
        # As a replica
        self.primary: Address | None = None
        self.link_state = LinkState.NONE
        #: The data is of the present primary's history, as far as `offset`.
        self.is_synced = False
        #: What we had was thrown away for a copy that is not here yet: as good as no data at all.
        self.has_lost_data = False
        #: Our history only began when a snapshot was loaded, and nobody has seen it yet.
        self._is_just_restored = False
        #: The data continues a history, so that PSYNC may ask for the rest only.
        self.may_resume = False
        self.heard_ms = 0
        self.down_since_ms = 0
        self.was_up = False
        self.transfer_total_bytes = 0
        self.transfer_read_bytes = 0
        self.transfer_ms = 0
        #: The database in which the primary's stream is, and what of it is read but not applied.
        self.stream_database = 0
        self.unapplied_bytes = 0
        #: The runtime's ends.
        self.on_order: Callable[[], None] = _nothing
        self.on_snapshot_wanted: Callable[[], None] = _nothing
        self.on_admitted: Callable[[Peer], None] = _nothing_with
        self.is_failing_over = False
        self.failover = Failover(machine, self)
        self.waits = AckWaits(machine, self)
        # How often it came to what, for INFO stats.
        self.full_syncs = 0
        self.partial_syncs = 0
        self.refused_partial_syncs = 0
        machine.on_tick.append(self.on_tick)
        machine.persistence.replication_facts = self._snapshot_facts
        machine.config.on_change("repl-backlog-size", self._on_backlog_size)
        self._upkeep = Upkeep(machine, self)
        self._refusals = Refusals(machine, self)
        self._refusals.on_role()

    # --- facts -----------------------------------------------------------------------------------

    @property
    def is_replica(self) -> bool:
        """Whether this node follows another."""
        return self.primary is not None

    @property
    def role(self) -> str:
        """`master` or `slave`, as INFO has it."""
        return "slave" if self.is_replica else "master"

    @property
    def is_link_up(self) -> bool:
        """Whether the primary's stream is being applied."""
        return self.link_state is LinkState.CONNECTED

    def primary_silence_ms(self) -> int | None:
        """How long nothing was heard of the primary; None if there never was anything (left)."""
        if not self.is_replica or not self.was_up or self.has_lost_data:
            return None
        since_ms = self.heard_ms if self.is_link_up else self.down_since_ms
        return max(0, self._machine.clock.now_ms - since_ms)

    def good_replicas(self) -> int:
        """How many replicas were heard of within `min-replicas-max-lag`."""
        now_ms, config = self._machine.clock.now_ms, self._machine.config
        return sum(
            peer.is_online and (now_ms - peer.acked_ms) // 1000 <= config.min_replicas_max_lag
            for peer in self.peers
        )

    def acked_by(self, offset: int) -> int:
        """How many replicas have said that they are as far as `offset`."""
        return sum(peer.is_online and peer.acked_offset >= offset for peer in self.peers)

    def synced_by(self, offset: int) -> int:
        """How many replicas have said that they have that much on disk."""
        return sum(peer.is_online and peer.synced_offset >= offset for peer in self.peers)

    def _snapshot_facts(self) -> tuple[bytes, int, int] | None:
        if self.backlog is None and not self.is_synced:
            return None
        database = self.stream_database if self.is_replica else self._stream.database or 0
        return self.history.identity, self.offset, database

    # --- the stream of a primary -----------------------------------------------------------------

    def on_effects(self, batch: EffectBatch) -> None:
        """What a command did goes to the replicas."""
        if batch.commands and not self.is_replica:
            self.feed(self._stream.encode(batch))

    def on_run(self, database: int, encoded: bytes) -> None:
        """The same for commands that stand alone."""
        if self.primary is None:
            stream = self._stream
            if database != stream.database:
                encoded = stream.encode_run(database, encoded)
            self.feed(encoded)

    def feed(self, chunk: bytes) -> None:
        """The stream goes on by these bytes."""
        self.offset = self._effects.stream_offset = self.offset + len(chunk)
        if self.backlog is not None:
            self.backlog.append(chunk)
        for peer in self.peers:
            peer.feed(chunk)

    def ask_for_acks(self) -> None:
        """Have the replicas say at once how far they are."""
        if not self.is_replica and self.peers:
            self.feed(GET_ACK)

    def _observe(self, wanted: bool) -> None:
        if wanted != self._is_observing:
            self._is_observing = wanted
            machine = self._machine
            (machine.add_consumer if wanted else machine.remove_consumer)(self)

    def keep_backlog(self) -> None:
        """From now on the stream is made and its end is kept."""
        if self.backlog is None:
            self.backlog = Backlog(self._machine.config.repl_backlog_size, self.offset + 1)
        self._observe(not self.is_replica)

    def _on_backlog_size(self) -> None:
        if self.backlog is not None:
            self.backlog.resize(self._machine.config.repl_backlog_size)

    def _rename(self, history: History) -> None:
        self.history = history
        self._machine.replication_id = history.identity

    def _new_identity(self) -> bytes:
        return b"%040x" % self._machine.rng.getrandbits(160)

    # --- replicas --------------------------------------------------------------------------------

    def peer_of(self, session: Session) -> Peer:
        """What is known of a session that speaks as a replica."""
        found = session.features.get("replica")
        if isinstance(found, Peer):
            return found
        peer = Peer(session, self._on_peer_gone)
        session.features["replica"] = peer
        self._machine.regate(session)
        return peer

    def admit(self, peer: Peer, identity: bytes, offset: int) -> None:
        """A replica says PSYNC: give it the rest, or have it wait for a snapshot."""
        session, now_ms = peer.session, self._machine.clock.now_ms
        session.kind = ClientKind.REPLICA
        self._machine.log.notice(f"Replica {self.name(peer)} asks for synchronization")
        self.peers.append(peer)
        self._is_just_restored = False
        self.on_admitted(peer)
        peer.acked_ms = now_ms
        backlog = self.backlog
        if backlog is not None and may_continue(self.history, backlog, identity, offset):
            name = b" " + self.history.identity if peer.understands_psync2 else b""
            session.outbox.append(b"+CONTINUE%b\r\n" % name)
            missing = backlog.since(offset)
            session.outbox += missing
            self._machine.awaken(session)
            peer.state = PeerState.ONLINE
            self.partial_syncs += 1
            self._machine.log.notice(
                f"Partial resynchronization request from {self.name(peer)} accepted. Sending "
                f"{sum(map(len, missing))} bytes of backlog starting from offset {offset}."
            )
            return
        if identity != b"?":
            self.refused_partial_syncs += 1
            self._machine.log.notice(
                f"Partial resynchronization not accepted for {self.name(peer)}: it asked for "
                f"'{identity.decode('latin-1')}' at {offset}"
            )
        if backlog is None and not self.is_replica:
            # Nobody saw the stream so far: a history of its own begins.
            self._rename(History(self._new_identity()))
        self.keep_backlog()
        self.full_syncs += 1
        peer.state = PeerState.WAITS_FOR_SNAPSHOT
        peer.waits_since_ms = now_ms
        self.on_snapshot_wanted()

    def begin_snapshot(self, peers: list[Peer]) -> None:
        """A snapshot of this very moment is made for these replicas."""
        # The reader of a snapshot is in no known database.
        self._stream.forget_database()
        for peer in peers:
            peer.state = PeerState.SNAPSHOT_IS_WRITTEN
            if not peer.is_ancient:
                words = b"+FULLRESYNC %b %d\r\n" % (self.history.identity, self.offset)
                peer.session.outbox.append(words)
                self._machine.awaken(peer.session)

    def on_ack(self, peer: Peer, offset: int, synced_offset: int | None) -> None:
        """A replica says how far it is, and perhaps how much of that is on its disk."""
        now_ms = self._machine.clock.now_ms
        peer.acked_ms = now_ms
        peer.acked_offset = max(peer.acked_offset, offset)
        if synced_offset is not None:
            peer.synced_offset = max(peer.synced_offset, synced_offset)
        if peer.state is PeerState.MUST_CONFIRM:
            self.put_online(peer)
        self.waits.check()
        self.failover.check()
        self._machine.shutdown.check()

    def put_online(self, peer: Peer) -> None:
        """A replica has its snapshot."""
        if peer.only_snapshot:
            peer.session.close(after_reply=False)
            return
        peer.go_online(self._machine.clock.now_ms)
        self._machine.log.notice(f"Synchronization with replica {self.name(peer)} succeeded")
        self._machine.slot_migration.marks.on_replica_online()

    def disconnect_peers(self) -> None:
        """Have all replicas ask anew: the history has another name, or other data."""
        for peer in list(self.peers):
            peer.session.close(after_reply=False)

    def _on_peer_gone(self, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)
            self._lonely_since_ms = self._machine.clock.now_ms
            self._machine.log.notice(f"Connection with replica {self.name(peer)} lost.")
            self.failover.check()

    @staticmethod
    def name(peer: Peer) -> str:
        """A replica as the log names it."""
        return f"{peer.ip}:{peer.port}" if peer.port else peer.session.address

    # --- roles -----------------------------------------------------------------------------------

    def follow(self, host: str, port: int) -> None:
        """Be a replica of that primary."""
        machine = self._machine
        target = Address(host, port)
        if self.primary == target:
            return
        if self.primary is None:
            # Our own history may be the beginning of the new primary's.
            self.may_resume = self.backlog is not None or self.may_resume
            if self._is_just_restored and self.offset + 1 == self.history.second_offset:
                # An old primary comes back, and has written nothing since.
                self._rename(History(self.history.second_identity))
            self._is_just_restored = False
            machine.blocked.release_all(_FORCED_UNBLOCK, only_writes=True)
            self.was_up = False
        self._observe(False)
        self.primary = target
        self.link_state = LinkState.CONNECT
        self.is_synced = False
        self.down_since_ms = machine.clock.now_ms
        machine.keyspace.become_replica(True)
        if not machine.config.cluster_enabled:
            machine.config.put(Config.replicaof, HostAndPort(host, port))
        # Our replicas stay: they will hear if our data, or its name, becomes another.
        self.waits.give_up()
        self._refusals.on_role()
        self.on_order()

    def become_primary(self) -> None:
        """Follow nobody; the data stays, under a new name."""
        machine = self._machine
        if self.primary is None:
            machine.keyspace.become_replica(False)
            return
        self.primary = None
        self.link_state = LinkState.NONE
        self.is_synced = False
        if self.has_lost_data:
            # Nobody may go on here as if it were the old history.
            self._rename(History(self._new_identity()))
            self.has_lost_data = False
        else:
            self._rename(History(self._new_identity(), self.history.identity, self.offset + 1))
        self._stream.forget_database()
        machine.keyspace.become_replica(False)
        if not machine.config.cluster_enabled:
            machine.config.put(Config.replicaof, None)
        self.disconnect_peers()
        self._lonely_since_ms = machine.clock.now_ms
        self.keep_backlog()
        self._refusals.on_role()
        machine.log.notice(
            f"Setting secondary replication ID to {self.history.second_identity.decode()}, valid "
            f"up to offset: {self.history.second_offset}. New replication ID is "
            f"{self.history.identity.decode()}"
        )
        self.on_order()

    # --- what the link tells ---------------------------------------------------------------------

    def resume_point(self) -> tuple[bytes, int] | None:
        """What to ask the primary for; None for everything."""
        if not self.may_resume:
            return None
        return self.history.identity, self.offset + 1

    def on_link(self, state: LinkState) -> None:
        """The link has come so far."""
        now_ms = self._machine.clock.now_ms
        if self.link_state is LinkState.CONNECTED and state is not LinkState.CONNECTED:
            self.down_since_ms = now_ms
        self.link_state = state
        if state is LinkState.CONNECTED:
            self.heard_ms = now_ms
            self.was_up = True
            self.is_synced = True
            self.may_resume = True

    def on_continue(self, identity: bytes | None) -> None:
        """The primary goes on where we are, perhaps under a new name."""
        old = self.history
        if identity is not None and identity != old.identity:
            self._rename(History(identity, old.identity, self.offset + 1))
            self.disconnect_peers()
        self.keep_backlog()

    def on_data_dropped(self) -> None:
        """The data makes room for a full copy, which may never be complete."""
        self.has_lost_data = True
        self.is_synced = False
        self.may_resume = False

    def on_full_copy(self, identity: bytes, offset: int) -> None:
        """The data is the primary's now, as of `offset`."""
        self.has_lost_data = False
        self.may_resume = True
        self._rename(History(identity))
        self.offset = offset
        self.backlog = None
        self.disconnect_peers()
        self.keep_backlog()

    def restore(self, facts: dict[bytes, bytes], *, is_whole: bool) -> None:
        """A snapshot was loaded at the start: it says which history it is of.

        A replica goes on with it. A primary begins a history of its own there, which its replicas
        may follow as if nothing had happened; not if something was left out (`is_whole`).
        """
        identity, offset = facts.get(b"repl-id", b""), facts.get(b"repl-offset", b"")
        database = facts.get(b"repl-stream-db", b"0")
        if len(identity) != 40 or not offset.isdigit():
            return
        if self.is_replica or self._machine.config.replicaof is not None:
            self._rename(History(identity))
            self.stream_database = int(database) if database.isdigit() else 0
            self.may_resume = True
        elif is_whole and not self.offset:
            self._rename(History(self.history.identity, identity, int(offset) + 1))
            self._is_just_restored = True
        else:
            return
        self.offset = int(offset)
        if not self.may_resume:
            self.keep_backlog()

    # --- time ------------------------------------------------------------------------------------

    def on_tick(self) -> None:
        """Signs of life, time-outs, and what nobody needs any more."""
        now_ms, config = self._machine.clock.now_ms, self._machine.config
        if self.peers:
            self._lonely_since_ms = now_ms
            self._upkeep.on_tick()
        elif (
            self.backlog is not None
            and not self.is_replica
            and config.repl_backlog_ttl
            and not config.cluster_enabled
            and now_ms - self._lonely_since_ms > config.repl_backlog_ttl * 1000
        ):
            self._forget_backlog()
        self.failover.check()

    def _forget_backlog(self) -> None:
        self._machine.log.notice("Replication backlog freed: there was no replica for long.")
        self._observe(False)
        self.backlog = None
        self.may_resume = False
        self._rename(History(self._new_identity()))


__all__ = ["NO_ID", "Address", "Replication"]
