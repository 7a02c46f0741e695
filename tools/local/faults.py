"""What can be done to a running cluster besides killing its nodes: links, slots, replies.

Owns the faults of `LocalCluster`. Rules: a fault is in force when its call returns; whoever is on
neither side of a cut goes on talking to both.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from ...slots.hashing import key_slot
from .engine import Engine
from .errors import LocalClusterError
from .node import Node
from .relay import CLIENTS, Pair, Relay, Rules, Slowness
from .scripted import ScriptedReply, reply_text
from .shape import HOST
from .views import wait_until

#: Names the clients in place of a node, where links are meant.
CLIENTS_SIDE: Final = "clients"
_MIGRATE_BATCH: Final = 100
_MIGRATE_TIMEOUT_MS: Final = 5000

Side = Node | int | str | Iterable[Node | int | str]


class Faults:
    """The part of `LocalCluster` that breaks things."""

    nodes: list[Node]
    _relay: Relay | None
    _is_altered: bool
    _full_disks: set[int]

    def node(self, node: Node | int) -> Node:
        """A node by its number, or itself."""
        raise NotImplementedError

    def master_of_slot(self, slot: int) -> Node:
        """The node that serves a slot."""
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        """What runs the nodes."""
        raise NotImplementedError

    # --- links ------------------------------------------------------------------------------

    @property
    def relay(self) -> Relay:
        """What stands in front of the nodes."""
        if self._relay is None:
            raise LocalClusterError("links can be broken only in a running cluster with a relay")
        return self._relay

    def _numbers(self, side: Side) -> set[int]:
        if isinstance(side, str):
            if side != CLIENTS_SIDE:
                raise LocalClusterError(f"a side is a node, or {CLIENTS_SIDE!r}, not {side!r}")
            return {CLIENTS}
        if isinstance(side, Node | int):
            return {self.node(side).index}
        return {number for each in side for number in self._numbers(each)}

    def pairs(self, a: Side, b: Side, *, one_way: bool = False) -> set[Pair]:
        """Who speaks and who listens, in all links between two sides (or what `a` says to `b`)."""
        pairs = {(x, y) for x in self._numbers(a) for y in self._numbers(b) if x != y}
        return pairs if one_way else pairs | {(y, x) for x, y in pairs}

    def partition(self, a: Side, b: Side, *, one_way: bool = False) -> None:
        """Cut all links between two sides, or only what `a` says to `b`.

        A side is a node, several, or "clients".
        """
        pairs = self.pairs(a, b, one_way=one_way)
        self._is_altered = True
        self.relay.run(lambda rules: rules.cuts.update(pairs))

    def isolate(self, node: Node | int, *, clients: bool = False) -> None:
        """Cut a node off from all others, and (if asked) from the clients."""
        node = self.node(node)
        others: list[Node | int | str] = [other for other in self.nodes if other is not node]
        self.partition(node, [*others, CLIENTS_SIDE] if clients else others)

    def heal(self, a: Side | None = None, b: Side | None = None) -> None:
        """Mend and speed up the links between two sides, of one side, or all."""
        if self._relay is None:
            return
        if a is None:
            self.relay.run(Rules.mend_all)
            return
        everybody: Side = [*self.nodes, CLIENTS_SIDE]
        pairs = self.pairs(a, everybody if b is None else b)
        self.mend(pairs, pairs)

    def mend(self, cuts: Iterable[Pair] = (), slow: Iterable[Pair] = ()) -> None:
        """Mend just these, and speed up those: of faults that overlap, one may end alone."""
        cuts, slow = list(cuts), list(slow)

        def do(rules: Rules) -> None:
            rules.cuts.difference_update(cuts)
            for pair in slow:
                rules.slow.pop(pair, None)

        self.relay.run(do)

    def slow(
        self,
        node: Node | int,
        latency_ms: float = 0.0,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        *,
        towards: Side | None = None,
    ) -> None:
        """Delay all that a node hears and says (or only to and from some)."""
        if not 0 <= loss <= 1 or latency_ms < 0 or jitter_ms < 0:
            raise LocalClusterError("latency and jitter are not negative, and loss is in 0..1")
        everybody: Side = [*self.nodes, CLIENTS_SIDE]
        pairs = self.pairs(node, everybody if towards is None else towards)
        slowness = Slowness(latency_ms, jitter_ms, loss)
        self.relay.run(lambda rules: rules.slow.update(dict.fromkeys(pairs, slowness)))

    # --- disks ------------------------------------------------------------------------------

    def fill_disk(self, node: Node | int) -> Node:
        """Leave a node no room on its disk, until `free_disk`; a restart changes nothing in that.

        What it writes fails, and nothing else does: it refuses writes (MISCONF) once it knows, by
        its append-only file or by BGSAVE, and cannot go on where its nodes.conf must be written.
        """
        return self._set_disk_full(self.node(node), is_full=True)

    def free_disk(self, node: Node | int | None = None) -> None:
        """There is room again, at one node or at all."""
        for number in list(self._full_disks) if node is None else [self.node(node).index]:
            self._set_disk_full(self.nodes[number], is_full=False)

    def _set_disk_full(self, node: Node, *, is_full: bool) -> Node:
        self._is_altered = True
        if node.is_running:
            self.engine.set_disk_full(node.index, is_full=is_full)
        (self._full_disks.add if is_full else self._full_disks.discard)(node.index)
        return node

    # --- roles and slots --------------------------------------------------------------------

    def failover(self, replica: Node | int, option: str = "", timeout_s: float = 30.0) -> float:
        """Have a replica take over (`option`: FORCE, TAKEOVER); the seconds until it did."""
        replica = self.node(replica)
        self._is_altered = True
        replica.call("CLUSTER", "FAILOVER", *([option] if option else []))

        def missing() -> str:
            own = next(line for line in replica.lines().values() if "myself" in line.flags)
            return "" if own.role == "master" and own.slots else f"{replica} is a {own.role}"

        return wait_until(missing, f"{replica} takes over", timeout_s, self.nodes)

    def open_slot(self, slot: int, to: Node | int) -> Node:
        """Begin to move a slot, and leave it half way: MIGRATING here, IMPORTING there."""
        target, source = self.node(to), self.master_of_slot(slot)
        self._is_altered = True
        if source is not target:
            target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", _live_id(source))
            source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", _live_id(target))
        return source

    def migrate(self, slots: int | Iterable[int], to: Node | int) -> int:
        """Move slots with all their keys to a node; how many keys were moved."""
        target = self.node(to)
        moved = 0
        for slot in [slots] if isinstance(slots, int) else slots:
            source = self.open_slot(slot, target)
            if source is target:
                continue
            moved += _move_keys(source, target, slot)
            owner = _live_id(target)
            # The target first: whoever hears of it must find somebody who serves.
            others = [node for node in self.nodes if node not in (source, target) and node.is_up]
            for node in (target, source, *others):
                if node in (target, source) or not _is_replica(node):
                    node.call("CLUSTER", "SETSLOT", slot, "NODE", owner)
        return moved

    # --- replies written beforehand ---------------------------------------------------------

    def script(
        self,
        reply: str,
        *,
        command: str | None = None,
        key: str | bytes | None = None,
        slot: int | None = None,
        node: Node | int | None = None,
        target: Node | int | None = None,
        times: int = 1,
    ) -> Node:
        """The next request on a slot (of a key, with this command) hears `reply`.

        `reply` is ASK or MOVED (to `target`), TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY,
        or any error text. It is given by `node`, or by whoever serves the slot.
        """
        if key is not None:
            slot = key_slot(key if isinstance(key, bytes) else key.encode())
        if node is None and slot is None:
            raise LocalClusterError("say where: a key, a slot, or a node")
        teller = self.master_of_slot(slot or 0) if node is None else self.node(node)
        address = (teller if target is None else self.node(target)).address
        rule = ScriptedReply(
            reply_text(reply, slot, address), command and command.lower(), slot, times
        )
        self.engine.script(teller.index, rule)
        self._scripted = True
        return teller

    _scripted = False

    def clear_scripts(self) -> None:
        """Take back all replies that were written beforehand and not given yet."""
        if not self._scripted:
            return
        for node in self.nodes:
            if node.is_up:
                self.engine.script(node.index, None)
        self._scripted = False


def _live_id(node: Node) -> str:
    """A node's id at this moment: CLUSTER RESET HARD may have changed it."""
    return node.text("CLUSTER", "MYID")


def _is_replica(node: Node) -> bool:
    return any("myself" in line.flags and line.role == "slave" for line in node.lines().values())


def _move_keys(source: Node, target: Node, slot: int) -> int:
    moved = 0
    while True:
        keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, _MIGRATE_BATCH)
        if not isinstance(keys, Sequence) or not keys:
            return moved
        words = [key for key in keys if isinstance(key, bytes)]
        source.call(
            "MIGRATE", HOST, target.port, "", 0, _MIGRATE_TIMEOUT_MS, "REPLACE", "KEYS", *words
        )
        moved += len(words)
