"""Moving slots with their keys from node to node, so that it can be broken off anywhere.

Owns both ways. The atomic one asks the source to hand over whole ranges (CLUSTER MIGRATESLOTS) and
watches it. The other opens a slot on both ends, moves its keys with MIGRATE, and closes it.

Rules:
* Nothing is remembered outside the cluster: a slot that was left half-moved is told by its marks,
  and moving it again picks it up where it was.
* The target is told of its new slot before the source, so that at every moment somebody owns it.
* The source's value of a key counts only if it is sure that the target has none of its own: the two
  are equal, or our own MIGRATE has put it there. Otherwise the move stops, unless it was told to
  replace.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from attrs import define, field, frozen

from ...slots.plan_moves import Move
from ...slots.slotset import SlotSet
from ..wire import Argument, Reply
from .connection import Connection
from .failures import AdminError, ReplyError, UnreachableError
from .screen import Advance, Screen
from .topology import Cluster, Node, ask_lines, own_line, require_reachable

#: Slots handed over at once: enough to be quick, few enough that a bar moves.
ATOMIC_SLOTS_MAX: Final = 512
_TRIES: Final = 3
_POLL_S: Final = 0.02
_ALREADY_OWNER: Final = "already the owner"
_NOT_A_MASTER: Final = "SETSLOT only with masters"
_PASSING: Final = ("CLUSTERDOWN", "LOADING", "TRYAGAIN")
_ENDED: Final = frozenset({"success", "failed", "cancelled", "canceled"})
_AGAIN: Final = (
    "run the same command again once the node or its replica serves, or 'clustrio cluster fix'; "
    "no key is lost"
)


@frozen
class MoveOptions:
    """How to move."""

    way: str = "auto"
    keys_at_once: int = 100
    migrate_timeout_ms: int = 60_000
    replaces: bool = False
    timeout_s: float = 60.0


@define
class Moved:
    """What was done."""

    slots: int = 0
    keys: int = 0
    atomic_slots: int = 0
    seconds: float = 0.0


@frozen
class Job:
    """An atomic migration as its source tells of it."""

    name: str
    operation: str
    slots: SlotSet
    target_id: str
    state: str
    message: str

    @property
    def is_active(self) -> bool:
        """Whether it is under way."""
        return self.state not in _ENDED


def jobs_of(connection: Connection) -> list[Job]:
    """The atomic migrations that a node knows; none if it knows no such thing."""
    try:
        entries = connection.items("CLUSTER", "GETSLOTMIGRATIONS")
    except ReplyError as failure:
        if failure.kind in ("NOAUTH", "NOPERM", "WRONGPASS"):
            raise
        return []
    return [_job(entry) for entry in entries if isinstance(entry, list)]


def _job(entry: list[Reply]) -> Job:
    words = [part.decode(errors="replace") if isinstance(part, bytes) else "" for part in entry]
    fields = dict(zip(words[::2], words[1::2], strict=False))
    return Job(
        fields.get("name", ""),
        fields.get("operation", "").upper(),
        SlotSet.of_text(fields.get("slot_ranges", "").replace(",", " ")),
        fields.get("target_node", ""),
        fields.get("state", "").lower(),
        fields.get("message", ""),
    )


@define
class Mover:
    """Moves slots of one cluster."""

    cluster: Cluster
    options: MoveOptions
    screen: Screen
    moved: Moved = field(factory=Moved)
    _patient: dict[str, Connection] = field(factory=dict)
    _atomic: dict[str, bool] = field(factory=dict)

    # --- all of it ----------------------------------------------------------------------------

    def carry_out(self, moves: Sequence[Move], what: str) -> Moved:
        """Move all; raises AdminError at the first that cannot be moved."""
        ends = {node_id for move in moves for node_id in (move.source_id, move.target_id)}
        require_reachable(map(self.cluster.by_id, sorted(ends)), "for this move")
        started_s = time.monotonic()
        try:
            with self.screen.progress(what, len(moves)) as advance:
                for pair, group in groupby(
                    moves, key=lambda move: (move.source_id, move.target_id)
                ):
                    source, target = map(self.cluster.by_id, pair)
                    slots = [move.slot for move in group]
                    self._move_pair(source, target, slots, advance)
        finally:
            self.moved.seconds += time.monotonic() - started_s
            for connection in self._patient.values():
                connection.close()
        return self.moved

    def _move_pair(
        self, source: Node, target: Node, slots: Sequence[int], advance: Advance
    ) -> None:
        if self._is_atomic(source, target):
            for chunk in _chunks(slots):
                self._hand_over(source, target, SlotSet.of(chunk), advance)
            return
        for slot in slots:
            self.move_slot(slot, source, target)
            advance(1, f"slot {slot} to {target.name}")

    # --- atomic -------------------------------------------------------------------------------

    def _is_atomic(self, source: Node, target: Node) -> bool:
        if self.options.way == "keys":
            return False
        for node in (source, target):
            if node.node_id not in self._atomic:
                knows = node.connection.knows("CLUSTER", "GETSLOTMIGRATIONS")
                self._atomic[node.node_id] = knows
        is_known = self._atomic[source.node_id] and self._atomic[target.node_id]
        if self.options.way == "atomic" and not is_known:
            raise AdminError(
                f"{source.name} or {target.name} does not know CLUSTER MIGRATESLOTS",
                "leave --way out, or give --way keys",
            )
        lines = (ask_lines(node.connection) for node in (source, target))
        marks = [own_line(line) for line in lines]
        # A slot that is open already was begun the other way, and is finished so.
        return is_known and not any(line.migrating or line.importing for line in marks)

    def _hand_over(self, source: Node, target: Node, slots: SlotSet, advance: Advance) -> None:
        for job in jobs_of(source.connection):
            if job.is_active and not job.slots.is_disjoint(slots):
                self.screen.note(f"  waiting for the migration {job.name} that is under way")
                self._await_job(source, job.name)
        left = slots & own_line(ask_lines(source.connection)).slots
        if left:
            known = {job.name for job in jobs_of(source.connection)}
            ranges = [str(end) for pair in left.ranges() for end in pair]
            words = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *ranges, "NODE", target.node_id]
            try:
                source.connection.call(*words)
            except ReplyError as failure:
                if self.options.way == "atomic":
                    raise
                # The two ends may be of different makes, and do it each in its own way.
                self.screen.note(f"  {failure.text}; moving key by key instead")
                for slot in left:
                    self.move_slot(slot, source, target)
                    advance(1, f"slot {slot} to {target.name}")
                self._note_handed_over(slots - left, target, advance)
                return
            begun = [job for job in jobs_of(source.connection) if job.name not in known]
            exports = [job for job in begun if job.operation != "IMPORT"] or begun
            if exports:
                self._await_job(source, exports[0].name)
        self._await_owner(target, slots)
        self._note_handed_over(slots, target, advance)

    def _note_handed_over(self, slots: SlotSet, target: Node, advance: Advance) -> None:
        self.moved.slots += len(slots)
        self.moved.atomic_slots += len(slots)
        advance(len(slots), f"to {target.name}")

    def _await_job(self, source: Node, name: str) -> None:
        while True:
            job = next((job for job in jobs_of(source.connection) if job.name == name), None)
            if job is None or job.state == "success":
                return
            if not job.is_active:
                raise AdminError(
                    f"the migration of {job.slots.text()} from {source.name} {job.state}: "
                    f"{job.message or 'no reason given'}",
                    "the source still serves these slots: run the same command again, "
                    "or give --way keys",
                )
            time.sleep(_POLL_S)

    def _await_owner(self, target: Node, slots: SlotSet) -> None:
        deadline_s = time.monotonic() + self.options.timeout_s
        while missing := slots - own_line(ask_lines(target.connection)).slots:
            if time.monotonic() > deadline_s:
                raise AdminError(
                    f"{target.name} still does not own {missing.text()}",
                    "look with 'clustrio cluster check'; then run the same command again",
                )
            time.sleep(_POLL_S)

    # --- key by key ---------------------------------------------------------------------------

    def move_slot(self, slot: int, source: Node, target: Node) -> None:
        """One slot, wherever an earlier try has left it."""
        try:
            if self._open(slot, source, target):
                self.moved.keys += self.move_keys(slot, source, target)
                target.connection.call("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
            self._tell(slot, source, target)
        except UnreachableError as failure:
            raise AdminError(
                f"the move of slot {slot} from {source.name} to {target.name} stopped: "
                f"{failure.text}",
                _AGAIN,
            ) from None
        self.moved.slots += 1

    def _open(self, slot: int, source: Node, target: Node) -> bool:
        """Mark the slot on both ends; False if the target owns it by now."""
        try:
            target.connection.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
        except ReplyError as failure:
            if _ALREADY_OWNER in failure.reply:
                return False
            raise
        try:
            source.connection.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
        except ReplyError:
            # Not the owner any more: the mark must not stay.
            target.connection.call("CLUSTER", "SETSLOT", slot, "STABLE")
            raise
        return True

    def _tell(self, slot: int, source: Node, target: Node) -> None:
        """The source must hear of it at once; the others do by the bus (see `reminding`)."""
        words = ("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
        try:
            source.connection.call(*words)
        except ReplyError as failure:
            if _NOT_A_MASTER not in failure.reply:
                raise
            # The bus was quicker, and who has lost its last slot follows the new owner.

    def move_keys(self, slot: int, source: Node, target: Node) -> int:
        """The keys of a slot, until the source has none; how many they were."""
        connection = self._patient_connection(source)
        moved = gone = failures = 0
        ends_at_s = time.monotonic() + self.options.timeout_s
        while True:
            reply = connection.items("CLUSTER", "GETKEYSINSLOT", slot, self.options.keys_at_once)
            keys = [key for key in reply if isinstance(key, bytes)]
            if not keys:
                return moved
            try:
                # What went wrong on the wire may have arrived all the same: then it is ours.
                is_there = self._migrate(connection, target, keys, replaces=failures > 0)
            except ReplyError as failure:
                if "BUSYKEY" in failure.reply:
                    moved += self._move_one_by_one(connection, source, target, keys)
                    continue
                if any(word in failure.reply for word in _PASSING):
                    # A node that has just joined or started says so for a moment.
                    if time.monotonic() > ends_at_s:
                        raise
                else:
                    failures += 1
                    if failure.kind != "IOERR" or failures > _TRIES:
                        raise
                time.sleep(_POLL_S)
                continue
            failures = 0
            moved += len(keys) if is_there else 0
            gone = 0 if is_there else gone + 1
            if gone > _TRIES:
                raise AdminError(
                    f"{source.name} lists keys of slot {slot} that it does not have",
                    "look at the node's log; then run the same command again",
                )

    def _migrate(
        self, connection: Connection, target: Node, keys: Sequence[bytes], *, replaces: bool
    ) -> bool:
        """Whether any of the keys existed."""
        access = self.cluster.access
        place = target.line.address
        words: list[Argument] = ["MIGRATE", place.host, place.port, "", 0]
        words.append(self.options.migrate_timeout_ms)
        if replaces or self.options.replaces:
            words.append("REPLACE")
        reply = connection.call(*words, *access.migrate_words(), "KEYS", *keys)
        return reply != b"NOKEY"

    def _move_one_by_one(
        self, connection: Connection, source: Node, target: Node, keys: Sequence[bytes]
    ) -> int:
        """The target holds some of these keys: the equal ones are replaced."""
        moved = 0
        for key in keys:
            try:
                moved += self._migrate(connection, target, [key], replaces=False)
            except ReplyError as failure:
                if "BUSYKEY" not in failure.reply:
                    raise
                if _dump(source.connection, key) != _dump(target.connection, key):
                    raise AdminError(
                        f"the key {key.decode(errors='backslashreplace')!r} is on {source.name} "
                        f"and on {target.name} with different values",
                        f"give --replace to keep the value of {source.name}, "
                        "or delete the one that is wrong",
                    ) from None
                moved += self._migrate(connection, target, [key], replaces=True)
        return moved

    def _patient_connection(self, node: Node) -> Connection:
        """MIGRATE may take as long as its own timeout."""
        found = self._patient.get(node.node_id)
        if found is None:
            seconds = self.options.migrate_timeout_ms / 1000 + self.cluster.access.timeout_s
            found = Connection(node.line.address, self.cluster.access.within(seconds))
            self._patient[node.node_id] = found
        return found


def _dump(connection: Connection, key: bytes) -> Reply:
    """The value of a key, whatever the state of its slot."""
    return connection.replies([("ASKING",), ("DUMP", key)])[1]


def _chunks(slots: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(slots), ATOMIC_SLOTS_MAX):
        yield slots[start : start + ATOMIC_SLOTS_MAX]
