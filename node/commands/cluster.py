"""CLUSTER and the commands around it: arguments in, the brain's answers and views out."""

from ...gossip import commands as ask
from ...gossip import views
from ...gossip.commands import Done, Refused, Request
from ...slots.hashing import SLOT_COUNT, key_slot
from ..cluster import Cluster
from ..config.syntax import text_from
from ..errors import NOT_AN_INTEGER, SYNTAX, CommandError
from ..registry import command, container
from ..resp.encoder import OK, Resp2, array, bulk, bulk_array, integer, simple
from ..session import Session
from ..values.numbers import parse_integer
from .help import help_reply

_READ = "stale"
_CHANGE = "admin no_async_loading stale"
_VARYING = ("nondeterministic_output",)
_DISABLED = CommandError(b"ERR This instance has cluster support disabled")
_INVALID_SLOT = CommandError(b"ERR Invalid or out of range slot")
_PORT_MAX = 65_535

container("CLUSTER", group="cluster", since="3.0.0", summary="Looks after the cluster.")


def _cluster(session: Session) -> Cluster:
    cluster = session.machine.cluster
    if cluster is None:
        raise _DISABLED
    return cluster


def _carry_out(session: Session, request: Request) -> bytes:
    """Have the brain do something, and word its answer."""
    answer = _cluster(session).command(request)
    if isinstance(answer, Refused):
        raise CommandError(b"ERR " + answer.text.encode())
    value = answer.value if isinstance(answer, Done) else None
    if value is None:
        return OK
    return integer(value) if isinstance(value, int) else simple(value.encode())


def _encode(encoder: Resp2, view: views.View) -> bytes:
    """A view of the brain as a reply."""
    if view is None:
        return encoder.null
    if isinstance(view, int):
        return integer(view)
    if isinstance(view, str):
        return bulk(view.encode())
    if isinstance(view, list):
        return array([_encode(encoder, item) for item in view])
    pairs = [bulk(name.encode()) + _encode(encoder, value) for name, value in view.items()]
    return encoder.map_header(len(pairs)) + b"".join(pairs)


def _slot(text: bytes) -> int:
    slot = parse_integer(text)
    if slot is None or not 0 <= slot < SLOT_COUNT:
        raise _INVALID_SLOT
    return slot


def _node_id(text: bytes) -> str:
    return text.decode("latin-1")


# --- views
# -----------------------------------------------------------------------------------------


@command(
    "CLUSTER NODES",
    group="cluster",
    since="3.0.0",
    arity=2,
    flags=_READ,
    complexity="O(N) in the number of nodes",
    tips=_VARYING,
)
def nodes(session: Session, args: list[bytes]) -> bytes:
    """Describes every node in a line, as nodes.conf does."""
    cluster = _cluster(session)
    text = views.nodes_text(cluster.core, cluster.viewer())
    return session.encoder.verbatim(text.encode())


@command(
    "CLUSTER SLOTS",
    group="cluster",
    since="3.0.0",
    arity=2,
    flags=_READ,
    complexity="O(N) in the number of nodes",
    tips=_VARYING,
    deprecated=("7.0.0", "`CLUSTER SHARDS`"),
)
def slots(session: Session, args: list[bytes]) -> bytes:
    """Lists the slot ranges, each with its primary and its replicas."""
    cluster = _cluster(session)
    return _encode(session.encoder, views.slots_view(cluster.core, cluster.viewer()))


@command(
    "CLUSTER SHARDS",
    group="cluster",
    since="7.0.0",
    arity=2,
    flags=_READ,
    complexity="O(N) in the number of nodes",
    tips=_VARYING,
)
def shards(session: Session, args: list[bytes]) -> bytes:
    """Lists the shards with their slots and nodes."""
    cluster = _cluster(session)
    return _encode(session.encoder, views.shards_view(cluster.core, cluster.viewer()))


@command(
    "CLUSTER LINKS",
    group="cluster",
    since="7.0.0",
    arity=2,
    flags=_READ,
    complexity="O(N) in the number of nodes",
    tips=_VARYING,
)
def links(session: Session, args: list[bytes]) -> bytes:
    """Lists the connections of the cluster bus."""
    cluster = _cluster(session)
    return _encode(session.encoder, views.links_view(cluster.core, cluster.buffered()))


@command("CLUSTER INFO", group="cluster", since="3.0.0", arity=2, flags=_READ, tips=_VARYING)
def info(session: Session, args: list[bytes]) -> bytes:
    """Tells how the cluster is: state, slots, nodes, epochs, messages."""
    cluster = _cluster(session)
    text = views.info_text(cluster.core, buffer_limit_exceeded_count=cluster.over_limit_count())
    return session.encoder.verbatim(text.encode())


@command("CLUSTER MYID", group="cluster", since="3.0.0", arity=2, flags=_READ)
def my_id(session: Session, args: list[bytes]) -> bytes:
    """Tells this node's id."""
    return bulk(_cluster(session).core.node_id.encode())


@command("CLUSTER MYSHARDID", group="cluster", since="7.2.0", arity=2, flags=_READ, tips=_VARYING)
def my_shard_id(session: Session, args: list[bytes]) -> bytes:
    """Tells the id that this node shares with its replicas or its primary."""
    return bulk(_cluster(session).core.state.myself.shard_id.encode())


def _replica_lines(session: Session, args: list[bytes]) -> bytes:
    cluster = _cluster(session)
    node_id = _node_id(args[2])
    node = cluster.core.state.maybe_member(node_id)
    if node is None:
        raise CommandError(b"ERR Unknown node %b" % args[2])
    if node.is_replica:
        raise CommandError(b"ERR The specified node is not a master")
    lines = views.replica_lines(cluster.core, node_id, cluster.viewer())
    return bulk_array([line.encode() for line in lines])


@command(
    "CLUSTER REPLICAS",
    group="cluster",
    since="5.0.0",
    arity=3,
    flags="admin stale",
    args="node-id",
    complexity="O(N) in the number of replicas",
    tips=_VARYING,
)
def replicas(session: Session, args: list[bytes]) -> bytes:
    """Describes the replicas of a primary."""
    return _replica_lines(session, args)


@command(
    "CLUSTER SLAVES",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags="admin stale",
    args="node-id",
    complexity="O(N) in the number of replicas",
    tips=_VARYING,
    deprecated=("5.0.0", "`CLUSTER REPLICAS`"),
)
def slaves(session: Session, args: list[bytes]) -> bytes:
    """The old name of CLUSTER REPLICAS."""
    return _replica_lines(session, args)


@command(
    "CLUSTER COUNT-FAILURE-REPORTS",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags="admin stale",
    args="node-id",
    complexity="O(N) in the number of reports",
    tips=_VARYING,
)
def count_failure_reports(session: Session, args: list[bytes]) -> bytes:
    """Counts the voters that lately called a node failing."""
    return _carry_out(session, ask.CountFailureReports(_node_id(args[2])))


# --- keys and slots
# --------------------------------------------------------------------------------


@command(
    "CLUSTER KEYSLOT",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=_READ,
    args="key:string",
    complexity="O(N) in the length of the key",
)
def key_slot_(session: Session, args: list[bytes]) -> bytes:
    """Tells the slot of a key."""
    _cluster(session)
    return integer(key_slot(args[2]))


@command(
    "CLUSTER COUNTKEYSINSLOT",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=_READ,
    args="slot:integer",
)
def count_keys_in_slot(session: Session, args: list[bytes]) -> bytes:
    """Counts the keys in a slot."""
    cluster = _cluster(session)
    slot = parse_integer(args[2])
    if slot is None:
        raise NOT_AN_INTEGER
    if not 0 <= slot < SLOT_COUNT:
        raise CommandError(b"ERR Invalid slot")
    return integer(cluster.keys_in_slot(slot))


@command(
    "CLUSTER GETKEYSINSLOT",
    group="cluster",
    since="3.0.0",
    arity=4,
    flags=_READ,
    args="slot:integer count",
    complexity="O(N) in the number of keys asked for",
    tips=_VARYING,
)
def get_keys_in_slot(session: Session, args: list[bytes]) -> bytes:
    """Lists some keys of a slot."""
    _cluster(session)
    slot, count = parse_integer(args[2]), parse_integer(args[3])
    if slot is None or count is None:
        raise NOT_AN_INTEGER
    if not 0 <= slot < SLOT_COUNT or count < 0:
        raise CommandError(b"ERR Invalid slot or number of keys")
    return bulk_array(session.machine.keyspace.database(0).keys_of_slot(slot, count))


@command(
    "CLUSTER SLOT-STATS",
    group="cluster",
    since="8.0.0",
    arity=-4,
    flags="stale loading",
    args="SLOTSRANGE start-slot:integer end-slot:integer|"
    "ORDERBY metric [LIMIT limit:integer] [ASC|DESC]",
    complexity="O(N) in the number of slots, O(N log N) with ORDERBY",
    tips=(*_VARYING, "request_policy:all_shards"),
)
def slot_stats(session: Session, args: list[bytes]) -> bytes:
    """Counts the keys of this node's slots, slot by slot."""
    cluster = _cluster(session)
    owned = list(cluster.view.table.slots_of(cluster.view.my_id))
    mode = args[2].upper()
    if mode == b"SLOTSRANGE" and len(args) == 5:
        first, last = _slot(args[3]), _slot(args[4])
        if first > last:
            raise CommandError(
                b"ERR Start slot number %d is greater than end slot number %d" % (first, last),
            )
        chosen = [slot for slot in owned if first <= slot <= last]
    elif mode == b"ORDERBY":
        chosen = _ordered(cluster, owned, args)
    else:
        raise SYNTAX
    shown: list[views.View] = [[slot, {"key-count": cluster.keys_in_slot(slot)}] for slot in chosen]
    return _encode(session.encoder, shown)


def _ordered(cluster: Cluster, owned: list[int], args: list[bytes]) -> list[int]:
    """The slots in the order that SLOT-STATS ORDERBY asks for."""
    if args[3].lower() != b"key-count":
        raise CommandError(b"ERR Unrecognized sort metric for ORDERBY.")
    limit, is_descending = SLOT_COUNT, True
    position = 4
    while position < len(args):
        word = args[position].upper()
        if word == b"LIMIT" and position + 1 < len(args):
            wanted = parse_integer(args[position + 1])
            if wanted is None or not 1 <= wanted <= SLOT_COUNT:
                raise CommandError(
                    b"ERR Limit has to lie in between 1 and 16384 (maximum number of slots)."
                )
            limit = wanted
            position += 2
        elif word in (b"ASC", b"DESC"):
            is_descending = word == b"DESC"
            position += 1
        else:
            raise SYNTAX
    sign = -1 if is_descending else 1
    return sorted(owned, key=lambda slot: (sign * cluster.keys_in_slot(slot), slot))[:limit]


def _slot_list(texts: list[bytes]) -> tuple[int, ...]:
    return tuple(_slot(text) for text in texts)


def _slot_ranges(args: list[bytes]) -> tuple[int, ...]:
    """The slots of `start end [start end ...]`, in order, repetitions included."""
    if len(args) % 2:
        name = args[1].lower().decode("latin-1")
        raise CommandError(
            f"ERR wrong number of arguments for 'cluster|{name}' command".encode(),
        )
    found: list[int] = []
    for first_text, last_text in zip(args[2::2], args[3::2], strict=True):
        first, last = _slot(first_text), _slot(last_text)
        if first > last:
            raise CommandError(
                b"ERR start slot number %d is greater than end slot number %d" % (first, last),
            )
        found += range(first, last + 1)
    return tuple(found)


@command(
    "CLUSTER ADDSLOTS",
    group="cluster",
    since="3.0.0",
    arity=-3,
    flags=_CHANGE,
    args="slot:integer...",
    complexity="O(N) in the number of slots",
)
def add_slots(session: Session, args: list[bytes]) -> bytes:
    """Makes this node the owner of slots that nobody owns."""
    _cluster(session)
    return _carry_out(session, ask.AddSlots(_slot_list(args[2:])))


@command(
    "CLUSTER ADDSLOTSRANGE",
    group="cluster",
    since="7.0.0",
    arity=-4,
    flags=_CHANGE,
    args="(start-slot:integer end-slot:integer)...",
    complexity="O(N) in the number of slots",
)
def add_slots_range(session: Session, args: list[bytes]) -> bytes:
    """Makes this node the owner of ranges of slots that nobody owns."""
    _cluster(session)
    return _carry_out(session, ask.AddSlots(_slot_ranges(args)))


@command(
    "CLUSTER DELSLOTS",
    group="cluster",
    since="3.0.0",
    arity=-3,
    flags=_CHANGE,
    args="slot:integer...",
    complexity="O(N) in the number of slots",
)
def del_slots(session: Session, args: list[bytes]) -> bytes:
    """Forgets, in this node's view, who owns some slots."""
    _cluster(session)
    return _carry_out(session, ask.DelSlots(_slot_list(args[2:])))


@command(
    "CLUSTER DELSLOTSRANGE",
    group="cluster",
    since="7.0.0",
    arity=-4,
    flags=_CHANGE,
    args="(start-slot:integer end-slot:integer)...",
    complexity="O(N) in the number of slots",
)
def del_slots_range(session: Session, args: list[bytes]) -> bytes:
    """Forgets, in this node's view, who owns some ranges of slots."""
    _cluster(session)
    return _carry_out(session, ask.DelSlots(_slot_ranges(args)))


@command("CLUSTER FLUSHSLOTS", group="cluster", since="3.0.0", arity=2, flags=_CHANGE)
def flush_slots(session: Session, args: list[bytes]) -> bytes:
    """Gives up all slots of this node, which must be empty."""
    return _carry_out(session, ask.FlushSlots())


@command(
    "CLUSTER SETSLOT",
    group="cluster",
    since="3.0.0",
    arity=-4,
    flags=_CHANGE,
    args="slot:integer (IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE)",
)
def set_slot(session: Session, args: list[bytes]) -> bytes:
    """Marks a slot as moving in or out, settles its owner, or clears the marks."""
    cluster = _cluster(session)
    if cluster.my_primary is not None:
        raise CommandError(b"ERR You can use SETSLOT only with masters.")
    slot = _slot(args[2])
    action = args[3].upper()
    if action == b"STABLE" and len(args) == 4:
        return _carry_out(session, ask.SetSlotStable(slot))
    if len(args) == 5:
        node_id = _node_id(args[4])
        match action:
            case b"MIGRATING":
                return _carry_out(session, ask.SetSlotMigrating(slot, node_id))
            case b"IMPORTING":
                return _carry_out(session, ask.SetSlotImporting(slot, node_id))
            case b"NODE":
                return _carry_out(session, ask.SetSlotNode(slot, node_id))
    raise CommandError(
        b"ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
    )


# --- members and roles
# -----------------------------------------------------------------------------


@command(
    "CLUSTER MEET",
    group="cluster",
    since="3.0.0",
    arity=-4,
    flags=_CHANGE,
    args="ip port:integer [cluster-bus-port:integer]",
)
def meet(session: Session, args: list[bytes]) -> bytes:
    """Gets to know another node, and joins its cluster."""
    _cluster(session)
    if len(args) > 5:
        raise CommandError(b"ERR wrong number of arguments for 'cluster|meet' command")
    port = parse_integer(args[3])
    if port is None:
        raise CommandError(b"ERR Invalid base port specified: %b" % args[3])
    bus_port = port + 10_000
    if len(args) == 5:
        given = parse_integer(args[4])
        if given is None:
            raise CommandError(b"ERR Invalid bus port specified: %b" % args[4])
        bus_port = given
    if not (0 < port <= _PORT_MAX and 0 < bus_port <= _PORT_MAX):
        raise CommandError(
            b"ERR Invalid node address specified: %b:%b" % (args[2], args[3]),
        )
    return _carry_out(session, ask.MeetNode(text_from(args[2]), port, bus_port))


@command(
    "CLUSTER FORGET",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=_CHANGE,
    args="node-id",
)
def forget(session: Session, args: list[bytes]) -> bytes:
    """Removes a node from this node's view, and keeps it out for a minute."""
    return _carry_out(session, ask.ForgetNode(_node_id(args[2])))


@command(
    "CLUSTER REPLICATE",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=_CHANGE,
    args="node-id",
)
def replicate(session: Session, args: list[bytes]) -> bytes:
    """Makes this node a replica of a primary."""
    return _carry_out(session, ask.Replicate(_node_id(args[2])))


@command(
    "CLUSTER FAILOVER",
    group="cluster",
    since="3.0.0",
    arity=-2,
    flags=_CHANGE,
    args="[FORCE|TAKEOVER]",
)
def failover(session: Session, args: list[bytes]) -> bytes:
    """Lets this replica take its primary's place."""
    _cluster(session)
    mode = args[2].upper() if len(args) == 3 else b""
    if len(args) > 3 or mode not in (b"", b"FORCE", b"TAKEOVER"):
        raise SYNTAX
    request = ask.Failover(force=mode != b"", takeover=mode == b"TAKEOVER")
    return _carry_out(session, request)


@command(
    "CLUSTER RESET",
    group="cluster",
    since="3.0.0",
    arity=-2,
    flags="admin noscript stale",
    args="[HARD|SOFT]",
    complexity="O(N) in the number of nodes",
)
def reset(session: Session, args: list[bytes]) -> bytes:
    """Makes this node a new one that knows nobody."""
    _cluster(session)
    mode = args[2].upper() if len(args) == 3 else b"SOFT"
    if len(args) > 3 or mode not in (b"HARD", b"SOFT"):
        raise SYNTAX
    return _carry_out(session, ask.Reset(hard=mode == b"HARD"))


@command("CLUSTER BUMPEPOCH", group="cluster", since="3.0.0", arity=2, flags=_CHANGE, tips=_VARYING)
def bump_epoch(session: Session, args: list[bytes]) -> bytes:
    """Gives this node the greatest epoch, without asking anybody."""
    return _carry_out(session, ask.BumpEpoch())


@command(
    "CLUSTER SET-CONFIG-EPOCH",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=_CHANGE,
    args="config-epoch:integer",
)
def set_config_epoch(session: Session, args: list[bytes]) -> bytes:
    """Gives a new node its epoch."""
    _cluster(session)
    epoch = parse_integer(args[2])
    if epoch is None:
        raise NOT_AN_INTEGER
    return _carry_out(session, ask.SetConfigEpoch(epoch))


@command("CLUSTER SAVECONFIG", group="cluster", since="3.0.0", arity=2, flags=_CHANGE)
def save_config(session: Session, args: list[bytes]) -> bytes:
    """Writes nodes.conf."""
    return _carry_out(session, ask.SaveConfig())


@command("CLUSTER HELP", group="cluster", since="5.0.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Explains the sub-commands."""
    return help_reply("CLUSTER")


# --- the client's mode
# -----------------------------------------------------------------------------


@command(
    "ASKING",
    group="cluster",
    since="3.0.0",
    arity=1,
    flags="fast",
    categories="connection",
)
def asking(session: Session, args: list[bytes]) -> bytes:
    """Lets the next request into a slot that is just moving in."""
    _cluster(session)
    session.asking = True
    return OK


@command(
    "READONLY",
    group="cluster",
    since="3.0.0",
    arity=1,
    flags="loading stale fast",
    categories="connection",
)
def readonly(session: Session, args: list[bytes]) -> bytes:
    """Lets this client read from a replica."""
    _cluster(session)
    session.readonly = True
    return OK


@command(
    "READWRITE",
    group="cluster",
    since="3.0.0",
    arity=1,
    flags="loading stale fast",
    categories="connection",
)
def readwrite(session: Session, args: list[bytes]) -> bytes:
    """Sends this client's reads to the primary again."""
    _cluster(session)
    session.readonly = False
    return OK
