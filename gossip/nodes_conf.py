"""The text of nodes.conf, both ways: what a node must know again after a restart.

Owns the format of Redis 7.0 to 7.2: a line a node,

    id ip:port@cport[,hostname[,aux=value...]] flags primary ping pong epoch link [slots...]

and a last line `vars currentEpoch N lastVoteEpoch M`. Rules:

* Redis 7.0 takes all that follows the first comma for the host name, so auxiliary fields there
  would poison it. Both 7.0 and 7.2 skip variables that they do not know. `Style.PORTABLE`, the
  default, therefore writes `vars shard-id:<node id> <value>` lines, which every version loads;
  `Style.REDIS_7_2` writes what 7.2 does. We read both.
* Stricter than Redis, which loads half a file and forgets its last vote: a text without its last
  line, or whose last line lost its end, is damaged, and so is one that contradicts itself.
* Nothing that came from a peer can break a line: every text is checked on its way out as well.
* Nodes in handshake are not written: their ids are made up.
"""

import enum
import re
from collections.abc import Iterator
from typing import Final

from attrs import Factory, define, evolve, field, frozen

from . import limits
from .messages import NO_SLOTS, NodeFlag, NodeId, slots_repr, slots_text


class Style(enum.Enum):
    """Where the auxiliary fields go."""

    PORTABLE = "as variables; 7.0 and 7.2 load it"
    REDIS_7_2 = "behind the host name, as 7.2 writes them"


class Damage(enum.Enum):
    """Why a text is no nodes.conf; the value is for people."""

    EMPTY = "the file is empty"
    NOT_ASCII = "bytes that nodes.conf never holds"
    NO_FINAL_NEWLINE = "the last line is cut off"
    TOO_FEW_FIELDS = "a node needs eight fields"
    BAD_NODE_ID = "not a node id"
    BAD_ADDRESS = "not an address of the form ip:port@cport"
    BAD_HOSTNAME = "not a host name"
    BAD_AUX = "not an auxiliary field of the form name=value"
    BAD_FLAGS = "flags that are unknown or contradict each other"
    BAD_NUMBER = "not a number in its range"
    BAD_LINK_STATE = "neither connected nor disconnected"
    BAD_SLOTS = "not a slot, a range of slots or a slot on the move"
    BAD_VARS = "variables must come in pairs of name and value"
    NODE_TWICE = "this node has a line already"
    SLOT_TWICE = "a slot of this node has an owner already"
    VARS_TWICE = "this variable has a value already"
    NO_MYSELF = "no line is flagged myself"
    MYSELF_TWICE = "two lines are flagged myself"
    NO_VARS = "the line with currentEpoch and lastVoteEpoch is missing"


class NodesConfError(Exception):
    """The text is damaged; `line_number` counts from 1, and is the last for what is missing."""

    def __init__(self, line_number: int, reason: Damage) -> None:
        super().__init__(f"nodes.conf line {line_number}: {reason.value}")
        self.line_number = line_number
        self.reason = reason


@frozen
class StoredNode:
    """One node as nodes.conf has it."""

    node_id: NodeId
    ip: str
    """"" if it is not known."""
    port: int
    cport: int
    flags: int
    replica_of: NodeId | None = None
    ping_sent_ms: int = 0
    pong_received_ms: int = 0
    config_epoch: int = 0
    """On a replica's line its primary's, as CLUSTER NODES shows it: no claim of its own."""
    is_connected: bool = False
    slots: bytes = field(default=NO_SLOTS, repr=slots_repr)
    hostname: str = ""
    human_nodename: str = ""
    shard_id: NodeId | None = None
    """None in a file of 7.0: the brain then makes one up for each primary and its replicas."""
    pport: int = 0
    """Client port of the other kind (TLS beside TCP, or TCP beside TLS); 0 if there is none."""
    other_aux: tuple[tuple[str, str], ...] = ()
    """Auxiliary fields of newer versions, kept as they came."""


@frozen
class StoredCluster:
    """Everything in nodes.conf."""

    nodes: tuple[StoredNode, ...]
    """In the order of the file; exactly one is flagged MYSELF."""
    current_epoch: int
    last_vote_epoch: int
    migrating_to: tuple[tuple[int, NodeId], ...] = ()
    """(slot, target) for the slots of ours that are moving out, ordered by slot."""
    importing_from: tuple[tuple[int, NodeId], ...] = ()
    """(slot, source) for the slots that are moving in, ordered by slot."""

    @property
    def myself(self) -> StoredNode:
        """The node whose file this is."""
        return next(node for node in self.nodes if node.flags & NodeFlag.MYSELF)


_FLAG_WORDS: Final = (
    (NodeFlag.MYSELF, "myself"),
    (NodeFlag.PRIMARY, "master"),
    (NodeFlag.REPLICA, "slave"),
    (NodeFlag.PFAIL, "fail?"),
    (NodeFlag.FAIL, "fail"),
    (NodeFlag.HANDSHAKE, "handshake"),
    (NodeFlag.NOADDR, "noaddr"),
    (NodeFlag.NOFAILOVER, "nofailover"),
)
_FLAG_OF_WORD: Final = {word: flag for flag, word in _FLAG_WORDS} | {"noflags": NodeFlag.NONE}
_CONTRADICTIONS: Final = (
    NodeFlag.PRIMARY | NodeFlag.REPLICA,
    NodeFlag.MYSELF | NodeFlag.HANDSHAKE,
)

_NODE_ID: Final = re.compile(f"[{limits.NODE_ID_ALPHABET.decode()}]{{{limits.NODE_ID_CHARS}}}")
_IP: Final = re.compile(f"[{re.escape(limits.IP_ALPHABET.decode())}]{{0,45}}")
_HOSTNAME: Final = re.compile(
    f"[{re.escape(limits.HOSTNAME_ALPHABET.decode())}]{{0,{limits.MAX_NAME_CHARS}}}"
)
_STORED_NAME: Final = re.compile(
    f"[{re.escape(limits.STORED_NAME_ALPHABET.decode())}]{{1,{limits.MAX_NAME_CHARS}}}"
)
_SLOT_ON_THE_MOVE: Final = re.compile(r"\[([0-9]{1,5})-([<>])-([0-9a-z]{40})\]")
_SLOT_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")

_SHARD_ID_AUX: Final = "shard-id"
_NODENAME_AUX: Final = "nodename"
_PORT_AUXES: Final = ("tls-port", "tcp-port")


# ---- writing ------------------------------------------------------------------------------------


def encode_nodes_conf(
    cluster: StoredCluster, style: Style = Style.PORTABLE, *, tls_cluster: bool = False
) -> bytes:
    """The whole file. A text that would break its line is a mistake of ours: ValueError.

    `tls_cluster` says that the bus, and so `port`, is of the TLS kind; `pport` is the other.
    """
    nodes = [node for node in cluster.nodes if not node.flags & NodeFlag.HANDSHAKE]
    lines = [_node_line(node, cluster, style, tls_cluster=tls_cluster) for node in nodes]
    if style is Style.PORTABLE:
        lines += [
            f"vars {name}:{node.node_id} {value}"
            for node in nodes
            for name, value in _aux_fields(node, tls_cluster=tls_cluster)
        ]
    # Last, since a reader can tell by it that the file is whole.
    lines.append(
        f"vars currentEpoch {cluster.current_epoch} lastVoteEpoch {cluster.last_vote_epoch}"
    )
    return ("\n".join(lines) + "\n").encode("ascii")


def flags_text(flags: int) -> str:
    """The flags as nodes.conf and CLUSTER NODES spell them."""
    return ",".join(word for flag, word in _FLAG_WORDS if flags & flag) or "noflags"


def _node_line(node: StoredNode, cluster: StoredCluster, style: Style, *, tls_cluster: bool) -> str:
    address = f"{_checked(_IP, node.ip)}:{node.port}@{node.cport}"
    if node.hostname:
        address += f",{_checked(_HOSTNAME, node.hostname)}"
    if style is Style.REDIS_7_2:
        address += "" if node.hostname else ","
        aux_fields = _aux_fields(node, tls_cluster=tls_cluster, with_port=True)
        address += "".join(f",{name}={value}" for name, value in aux_fields)
    fields = [
        _checked(_NODE_ID, node.node_id),
        address,
        flags_text(node.flags),
        "-" if node.replica_of is None else _checked(_NODE_ID, node.replica_of),
        str(node.ping_sent_ms),
        str(node.pong_received_ms),
        str(node.config_epoch),
        "connected" if node.is_connected else "disconnected",
    ]
    fields += slots_text(node.slots).split()
    if node.flags & NodeFlag.MYSELF:
        moves = [(slot, ">", node_id) for slot, node_id in cluster.migrating_to]
        moves += [(slot, "<", node_id) for slot, node_id in cluster.importing_from]
        fields += [
            f"[{slot}-{arrow}-{_checked(_NODE_ID, node_id)}]"
            for slot, arrow, node_id in sorted(moves)
        ]
    return " ".join(fields)


def _aux_fields(
    node: StoredNode, *, tls_cluster: bool, with_port: bool = False
) -> Iterator[tuple[str, str]]:
    """The auxiliary fields in the order of 7.2, which always names the other port, even 0."""
    if node.pport or with_port:
        yield _PORT_AUXES[tls_cluster], str(node.pport)
    if node.human_nodename:
        yield _NODENAME_AUX, _checked(_STORED_NAME, node.human_nodename)
    if node.shard_id is not None:
        yield _SHARD_ID_AUX, _checked(_NODE_ID, node.shard_id)
    for name, value in node.other_aux:
        yield _checked(_STORED_NAME, name), _checked(_STORED_NAME, value)


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"cannot stand in nodes.conf: {text!r}")
    return text


# ---- reading ------------------------------------------------------------------------------------


def decode_nodes_conf(text: bytes) -> StoredCluster:
    """What the file says; NodesConfError if it is not whole and sound."""
    lines = text.split(b"\n")
    if not text.strip():
        raise NodesConfError(1, Damage.EMPTY)
    if lines.pop():
        raise NodesConfError(len(lines) + 1, Damage.NO_FINAL_NEWLINE)
    reading = _Reading()
    for line_number, raw_line in enumerate(lines, start=1):
        reading.line_number = line_number
        try:
            fields = raw_line.decode("ascii").split()
        except UnicodeDecodeError:
            raise reading.damage(Damage.NOT_ASCII) from None
        # Redis leaves empty lines where a longer file stood before.
        if not fields:
            continue
        if fields[0].lower() == "vars":
            reading.add_variables(fields[1:])
        else:
            reading.add_node(fields)
    return reading.finished()


@define
class _Reading:
    """What has been read up to `line_number`."""

    line_number: int = 0
    nodes: dict[NodeId, StoredNode] = Factory(dict)
    owned_slots: int = 0
    """The slots that have an owner, as a number with bit `s` for slot `s`."""
    variables: dict[str, str] = Factory(dict)
    migrating_to: dict[int, NodeId] = Factory(dict)
    importing_from: dict[int, NodeId] = Factory(dict)

    def damage(self, reason: Damage) -> NodesConfError:
        return NodesConfError(self.line_number, reason)

    def add_variables(self, words: list[str]) -> None:
        if len(words) % 2:
            raise self.damage(Damage.BAD_VARS)
        for name, value in zip(words[::2], words[1::2], strict=True):
            if name in self.variables:
                raise self.damage(Damage.VARS_TWICE)
            self.variables[name] = value
            self._check_variable(name, value)

    def _check_variable(self, name: str, value: str) -> None:
        """Judges it at once, while its line number is known."""
        if name in ("currentEpoch", "lastVoteEpoch"):
            self.number(value, limits.MAX_EPOCH)
        elif (aux := _aux_of_variable(name)) is not None:
            self.with_aux(StoredNode(aux[1], "", 0, 0, NodeFlag.NONE), aux[0], value)

    def add_node(self, fields: list[str]) -> None:
        if len(fields) < 8:
            raise self.damage(Damage.TOO_FEW_FIELDS)
        node_id, address, flags, primary, ping, pong, epoch, link, *slot_words = fields
        if link not in ("connected", "disconnected"):
            raise self.damage(Damage.BAD_LINK_STATE)
        endpoint, *hostname_and_aux = address.split(",")
        ip, port, cport = self._address(endpoint)
        hostname = hostname_and_aux[0] if hostname_and_aux else ""
        if _HOSTNAME.fullmatch(hostname) is None:
            raise self.damage(Damage.BAD_HOSTNAME)
        node = StoredNode(
            node_id=self._node_id(node_id),
            ip=ip,
            port=port,
            cport=cport,
            flags=self._flags(flags),
            replica_of=None if primary == "-" else self._node_id(primary),
            ping_sent_ms=self.number(ping, limits.MAX_TIME_MS),
            pong_received_ms=self.number(pong, limits.MAX_TIME_MS),
            config_epoch=self.number(epoch, limits.MAX_EPOCH),
            is_connected=link == "connected",
            slots=self._slots(slot_words),
            hostname=hostname,
        )
        for aux_field in hostname_and_aux[1:]:
            name, equals, value = aux_field.partition("=")
            if not equals:
                raise self.damage(Damage.BAD_AUX)
            node = self.with_aux(node, name, value)
        if node_id in self.nodes:
            raise self.damage(Damage.NODE_TWICE)
        if node.flags & NodeFlag.MYSELF and self._has_myself():
            raise self.damage(Damage.MYSELF_TWICE)
        self.nodes[node_id] = node

    def finished(self) -> StoredCluster:
        if not {"currentEpoch", "lastVoteEpoch"} <= self.variables.keys():
            raise self.damage(Damage.NO_VARS)
        if not self._has_myself():
            raise self.damage(Damage.NO_MYSELF)
        for name, value in self.variables.items():
            aux = _aux_of_variable(name)
            # A variable about a node that has left is of no use to anybody.
            if aux is not None and aux[1] in self.nodes:
                self.nodes[aux[1]] = self.with_aux(self.nodes[aux[1]], aux[0], value)
        return StoredCluster(
            tuple(node for node in self.nodes.values() if not node.flags & NodeFlag.HANDSHAKE),
            int(self.variables["currentEpoch"]),
            int(self.variables["lastVoteEpoch"]),
            tuple(sorted(self.migrating_to.items())),
            tuple(sorted(self.importing_from.items())),
        )

    def with_aux(self, node: StoredNode, name: str, value: str) -> StoredNode:
        """The node with one auxiliary field more."""
        if name == _SHARD_ID_AUX:
            return evolve(node, shard_id=self._node_id(value))
        if name in _PORT_AUXES:
            return evolve(node, pport=self.number(value, limits.MAX_PORT))
        if _STORED_NAME.fullmatch(name) is None or _STORED_NAME.fullmatch(value) is None:
            raise self.damage(Damage.BAD_AUX)
        if name == _NODENAME_AUX:
            return evolve(node, human_nodename=value)
        return evolve(node, other_aux=(*node.other_aux, (name, value)))

    def number(self, text: str, maximum: int) -> int:
        # By hand, since int() takes signs, spaces and underscores, and Unicode's digits.
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= maximum):
            raise self.damage(Damage.BAD_NUMBER)
        return int(text)

    def _node_id(self, text: str) -> NodeId:
        if _NODE_ID.fullmatch(text) is None:
            raise self.damage(Damage.BAD_NODE_ID)
        return text

    def _address(self, text: str) -> tuple[str, int, int]:
        ip, colon, ports = text.rpartition(":")
        if not colon or _IP.fullmatch(ip) is None:
            raise self.damage(Damage.BAD_ADDRESS)
        port_text, at, cport_text = ports.partition("@")
        port = self.number(port_text, limits.MAX_PORT)
        if at:
            return ip, port, self.number(cport_text, limits.MAX_PORT)
        # Before Redis 4 the bus port was not written, as it could be no other.
        return ip, port, min(port + limits.BUS_PORT_OFFSET, limits.MAX_PORT)

    def _flags(self, text: str) -> int:
        flags = NodeFlag.NONE
        for word in text.lower().split(","):
            flag = _FLAG_OF_WORD.get(word)
            if flag is None:
                raise self.damage(Damage.BAD_FLAGS)
            flags |= flag
        if any(flags & pair == pair for pair in _CONTRADICTIONS):
            raise self.damage(Damage.BAD_FLAGS)
        return flags

    def _slots(self, words: list[str]) -> bytes:
        slots = 0
        for word in words:
            if word.startswith("["):
                self._add_move(word)
                continue
            match = _SLOT_RANGE.fullmatch(word)
            if match is None:
                raise self.damage(Damage.BAD_SLOTS)
            first, last = int(match[1]), int(match[2] or match[1])
            if not first <= last < limits.SLOT_COUNT:
                raise self.damage(Damage.BAD_SLOTS)
            slots |= (1 << last + 1) - (1 << first)
        if slots & self.owned_slots:
            raise self.damage(Damage.SLOT_TWICE)
        self.owned_slots |= slots
        return slots.to_bytes(limits.SLOTS_BITMAP_BYTES, "little")

    def _add_move(self, word: str) -> None:
        match = _SLOT_ON_THE_MOVE.fullmatch(word)
        if match is None or int(match[1]) >= limits.SLOT_COUNT:
            raise self.damage(Damage.BAD_SLOTS)
        moves = self.migrating_to if match[2] == ">" else self.importing_from
        moves[int(match[1])] = match[3]

    def _has_myself(self) -> bool:
        return any(node.flags & NodeFlag.MYSELF for node in self.nodes.values())


def _aux_of_variable(name: str) -> tuple[str, NodeId] | None:
    """The auxiliary field and the node that a variable of the portable style is about."""
    aux_name, colon, node_id = name.rpartition(":")
    return (aux_name, node_id) if colon and _NODE_ID.fullmatch(node_id) else None
