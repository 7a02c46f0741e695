"""Who belongs to a cluster, and what each node says of itself and of the others.

Owns the reading of CLUSTER NODES, and `Cluster`: all nodes that one of them knows, each asked for
its own view. Rules: what a node owns, and which slots it has marked as open, it says itself; only
of a node that does not answer is believed what others say.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from attrs import define, evolve, field, frozen

from ...slots.hashing import SLOT_COUNT
from ...slots.plan_create import Address
from ...slots.plan_moves import Primary
from ...slots.slotset import SlotSet
from .connection import Access, Connection, close_all, display
from .failures import AdminError, ReplyError, UnreachableError

_ASKED_AT_ONCE: Final = 16
#: For nodes that others have given up: they may be back, but mostly are not.
_HOPELESS_TIMEOUT_S: Final = 1.5
_UNUSABLE: Final = frozenset({"noaddr", "handshake"})
#: As much of a list of slots is quoted.
_SLOTS_SHOWN: Final = 60

#: Of each member its id, whom it follows, and its slots.
Shape = tuple[tuple[str, str | None, str], ...]


@frozen
class Line:
    """One line of CLUSTER NODES."""

    node_id: str
    address: Address
    bus_port: int
    hostname: str
    flags: frozenset[str]
    primary_id: str | None
    config_epoch: int
    is_linked: bool
    slots: SlotSet
    migrating: Mapping[int, str]
    importing: Mapping[int, str]

    @property
    def is_replica(self) -> bool:
        """Whether it follows another node."""
        return "slave" in self.flags

    @property
    def health(self) -> str:
        """`ok`, `fail?` or `fail`."""
        return next((flag for flag in ("fail", "fail?") if flag in self.flags), "ok")


def parse_line(row: str, own_host: str) -> Line:
    """Read a line; `own_host` stands in where the node does not know its own address."""
    node_id, place, flags, primary_id, _ping, _pong, epoch, link, *words = row.split()
    place, _, hostname = place.partition(",")
    client, _, bus_port = place.partition("@")
    host, _, port = client.rpartition(":")
    ranges: list[str] = []
    migrating: dict[int, str] = {}
    importing: dict[int, str] = {}
    for word in words:
        if not word.startswith("["):
            ranges.append(word)
            continue
        for arrow, marks in (("->-", migrating), ("-<-", importing)):
            slot, found, other = word.strip("[]").partition(arrow)
            if found:
                marks[int(slot)] = other
    return Line(
        node_id,
        Address(host.strip("[]") or own_host, int(port or 0)),
        int(bus_port or 0),
        hostname.partition(",")[0],
        frozenset(flags.split(",")),
        None if primary_id == "-" else primary_id,
        int(epoch),
        link == "connected",
        SlotSet.of_text(" ".join(ranges)),
        migrating,
        importing,
    )


def parse_nodes(text: str, own_host: str) -> dict[str, Line]:
    """All lines of CLUSTER NODES by id."""
    lines = (parse_line(row, own_host) for row in text.splitlines() if row.strip())
    return {line.node_id: line for line in lines}


@define(eq=False)
class Node:
    """A member, the way to it, and what it says."""

    connection: Connection
    line: Line
    lines: Mapping[str, Line] = field(factory=dict)
    """What it sees; empty if it does not answer."""
    failure: AdminError | None = None

    @property
    def node_id(self) -> str:
        """Its id."""
        return self.line.node_id

    @property
    def name(self) -> str:
        """`host:port`."""
        return display(self.line.address)

    @property
    def is_reachable(self) -> bool:
        """Whether it answered."""
        return bool(self.lines)

    @property
    def is_primary(self) -> bool:
        """Whether it follows nobody."""
        return not self.line.is_replica

    def owners(self) -> dict[str, SlotSet]:
        """Who owns what in its eyes."""
        return {line.node_id: line.slots for line in self.lines.values() if line.slots}

    def shape(self) -> Shape:
        """What all nodes must agree on: members, roles, slots."""
        return tuple(
            (line.node_id, line.primary_id if line.is_replica else None, line.slots.text())
            for line in sorted(self.lines.values(), key=lambda line: line.node_id)
            if not line.flags & _UNUSABLE
        )


def _order(node: Node) -> tuple[bool, int, str]:
    """Masters by their lowest slot, then those without slots, then replicas."""
    slots = node.line.slots
    return node.line.is_replica, slots.minimum() if slots else SLOT_COUNT, node.name


def ask_lines(connection: Connection) -> dict[str, Line]:
    """CLUSTER NODES of one node."""
    return parse_nodes(connection.text("CLUSTER", "NODES"), connection.address.host)


def own_line(lines: Mapping[str, Line]) -> Line:
    """What a node says of itself."""
    return next(line for line in lines.values() if "myself" in line.flags)


class Cluster:
    """All members that the node at `seed` knows."""

    def __init__(self, seed: Address, access: Access) -> None:
        self.access = access
        self.seed = seed
        self.nodes: list[Node] = []
        self._connections: dict[Address, Connection] = {}
        self.refresh()

    # --- looking ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Ask everybody anew. The seed may have died meanwhile: then another member is asked."""
        lines, seed = self._ask_somebody()
        own_id = own_line(lines).node_id
        # The node may call itself by another address than the one that led to it.
        lines[own_id] = evolve(lines[own_id], address=seed)
        members = [line for line in lines.values() if not line.flags & _UNUSABLE]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            self.nodes = sorted(
                pool.map(self._look, members),
                key=_order,
            )

    def _ask_somebody(self) -> tuple[dict[str, Line], Address]:
        addresses = [self.seed, *(node.line.address for node in self.nodes if node.is_reachable)]
        first_failure: UnreachableError | None = None
        for address in dict.fromkeys(addresses):
            try:
                return ask_lines(self.connection(address)), address
            except UnreachableError as failure:
                first_failure = first_failure or failure
        assert first_failure is not None
        raise first_failure

    def _look(self, line: Line) -> Node:
        connection = self.connection(line.address, is_hopeless=line.health != "ok")
        try:
            lines = ask_lines(connection)
            own = own_line(lines)
        except (UnreachableError, ReplyError) as failure:
            return Node(connection, line, failure=failure)
        if own.node_id != line.node_id:
            stranger = AdminError(
                f"at {display(line.address)} answers {own.node_id}, not {line.node_id}",
                "remove the lost member: 'clustrio cluster forget'",
            )
            return Node(connection, line, failure=stranger)
        return Node(connection, evolve(own, address=line.address), lines)

    def connection(self, address: Address, *, is_hopeless: bool = False) -> Connection:
        """The way to a node, kept."""
        timeout_s = self.access.timeout_s
        access = self.access.within(
            min(timeout_s, _HOPELESS_TIMEOUT_S if is_hopeless else timeout_s)
        )
        found = self._connections.setdefault(address, Connection(address, access))
        found.access = access
        return found

    def close(self) -> None:
        """Hang up on everybody."""
        close_all(self._connections.values())

    # --- members ------------------------------------------------------------------------------

    @property
    def reachable(self) -> list[Node]:
        """Who answers."""
        return [node for node in self.nodes if node.is_reachable]

    @property
    def primaries(self) -> list[Node]:
        """All masters, reachable or not."""
        return [node for node in self.nodes if node.is_primary]

    @property
    def replicas(self) -> list[Node]:
        """All replicas."""
        return [node for node in self.nodes if not node.is_primary]

    def replicas_of(self, node: Node) -> list[Node]:
        """Who follows a node."""
        return [each for each in self.replicas if each.line.primary_id == node.node_id]

    def by_id(self, node_id: str) -> Node:
        """A member that is known to exist."""
        return next(node for node in self.nodes if node.node_id == node_id)

    def find(self, word: str) -> Node:
        """A member by its id, the beginning of its id, or its address."""
        exact = [node for node in self.nodes if word in (node.node_id, node.name)]
        found = exact or [node for node in self.nodes if node.node_id.startswith(word.lower())]
        if len(found) == 1:
            return found[0]
        problem = f"{len(found)} nodes begin with {word!r}" if found else f"no node is {word!r}"
        known = ", ".join(f"{node.node_id[:8]} ({node.name})" for node in self.nodes)
        raise AdminError(
            f"{problem} in this cluster; there are {known}",
            "give an id, a beginning of one that is enough, or HOST:PORT",
        )

    def plan_primaries(self) -> list[Primary]:
        """The masters as planners want them."""
        return [Primary(node.node_id, node.line.slots) for node in self.primaries]

    def uncovered(self) -> SlotSet:
        """Slots that nobody owns."""
        covered = SlotSet()
        for node in self.primaries:
            covered |= node.line.slots
        return covered.complement()

    def complaint(self) -> str:
        """Why the members that answer do not agree yet; empty if they do."""
        shapes: dict[Shape, list[str]] = {}
        for node in self.reachable:
            shapes.setdefault(node.shape(), []).append(node.name)
        if len(shapes) < 2:
            return ""
        (odd, few), *_, (usual, many) = sorted(shapes.items(), key=lambda pair: len(pair[1]))
        # Of a member that both know, what each says of it; else who is known to one of them only.
        differing = sorted({entry[0] for entry in set(odd) ^ set(usual)})[0]
        said = [next((e for e in each if e[0] == differing), None) for each in (odd, usual)]
        views = " and ".join(map(_in_words, said))
        return (
            f"{', '.join(few)} sees other members, roles or slots than {many[0]}: "
            f"of {differing[:8]} they say {views}"
        )


def _in_words(entry: tuple[str, str | None, str] | None) -> str:
    if entry is None:
        return "nothing"
    _, primary_id, slots = entry
    if primary_id is not None:
        return f"replica of {primary_id[:8]}"
    if len(slots) > _SLOTS_SHOWN:
        slots = slots[:_SLOTS_SHOWN] + "..."
    return f"master of {slots or 'no slots'}"


def require_reachable(nodes: Iterable[Node], purpose: str) -> None:
    """Refuse to begin what could not be finished."""
    for node in nodes:
        if node.failure is not None:
            raise AdminError(
                f"{node.name} is needed {purpose}, but: {node.failure.text}",
                "start it again, or wait for its replica to take over; then run this again",
            )


def names(nodes: Sequence[Node]) -> str:
    """For messages."""
    return ", ".join(node.name for node in nodes)
