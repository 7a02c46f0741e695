"""CLUSTER: slots, who owns them, and the keys in them."""

from ...gossip import commands as ask
from ...gossip import views
from ...slots.hashing import SLOT_COUNT, key_slot
from ..cluster import Cluster
from ..config.syntax import text_from
from ..errors import NOT_AN_INTEGER, SYNTAX, CommandError, wrong_arity
from ..registry import command
from ..resp.encoder import bulk_array, integer
from ..session import Session
from ..values.numbers import parse_integer
from .arguments import required_integer, required_slot
from .cluster_brain import CHANGE, READ, VARYING, carry_out, cluster_of, encode_view, node_id_from


@command(
    "CLUSTER KEYSLOT",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=READ,
    args="key:string",
    complexity="O(N) in the length of the key",
)
def key_slot_(session: Session, args: list[bytes]) -> bytes:
    """Tells the slot of a key."""
    cluster_of(session)
    return integer(key_slot(args[2]))


@command(
    "CLUSTER COUNTKEYSINSLOT",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=READ,
    args="slot:integer",
)
def count_keys_in_slot(session: Session, args: list[bytes]) -> bytes:
    """Counts the keys in a slot."""
    cluster = cluster_of(session)
    slot = required_integer(args[2])
    if not 0 <= slot < SLOT_COUNT:
        raise CommandError(b"ERR Invalid slot")
    return integer(cluster.keys_in_slot(slot))


@command(
    "CLUSTER GETKEYSINSLOT",
    group="cluster",
    since="3.0.0",
    arity=4,
    flags=READ,
    args="slot:integer count",
    complexity="O(N) in the number of keys asked for",
    tips=VARYING,
)
def get_keys_in_slot(session: Session, args: list[bytes]) -> bytes:
    """Lists some keys of a slot."""
    cluster_of(session)
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
    tips=(*VARYING, "request_policy:all_shards"),
)
def slot_stats(session: Session, args: list[bytes]) -> bytes:
    """Counts the keys of this node's slots, slot by slot."""
    cluster = cluster_of(session)
    owned = list(cluster.view.table.slots_of(cluster.view.my_id))
    mode = args[2].upper()
    if mode == b"SLOTSRANGE" and len(args) == 5:
        first, last = required_slot(args[3]), required_slot(args[4])
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
    return encode_view(session.encoder, shown)


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
    return tuple(required_slot(text) for text in texts)


def _slot_ranges(args: list[bytes]) -> tuple[int, ...]:
    """The slots of `start end [start end ...]`, in order, repetitions included."""
    if len(args) % 2:
        raise wrong_arity(f"cluster|{text_from(args[1])}")
    found: list[int] = []
    for first_text, last_text in zip(args[2::2], args[3::2], strict=True):
        first, last = required_slot(first_text), required_slot(last_text)
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
    flags=CHANGE,
    args="slot:integer...",
    complexity="O(N) in the number of slots",
)
def add_slots(session: Session, args: list[bytes]) -> bytes:
    """Makes this node the owner of slots that nobody owns."""
    cluster_of(session)
    return carry_out(session, ask.AddSlots(_slot_list(args[2:])))


@command(
    "CLUSTER ADDSLOTSRANGE",
    group="cluster",
    since="7.0.0",
    arity=-4,
    flags=CHANGE,
    args="(start-slot:integer end-slot:integer)...",
    complexity="O(N) in the number of slots",
)
def add_slots_range(session: Session, args: list[bytes]) -> bytes:
    """Makes this node the owner of ranges of slots that nobody owns."""
    cluster_of(session)
    return carry_out(session, ask.AddSlots(_slot_ranges(args)))


@command(
    "CLUSTER DELSLOTS",
    group="cluster",
    since="3.0.0",
    arity=-3,
    flags=CHANGE,
    args="slot:integer...",
    complexity="O(N) in the number of slots",
)
def del_slots(session: Session, args: list[bytes]) -> bytes:
    """Forgets, in this node's view, who owns some slots."""
    cluster_of(session)
    return carry_out(session, ask.DelSlots(_slot_list(args[2:])))


@command(
    "CLUSTER DELSLOTSRANGE",
    group="cluster",
    since="7.0.0",
    arity=-4,
    flags=CHANGE,
    args="(start-slot:integer end-slot:integer)...",
    complexity="O(N) in the number of slots",
)
def del_slots_range(session: Session, args: list[bytes]) -> bytes:
    """Forgets, in this node's view, who owns some ranges of slots."""
    cluster_of(session)
    return carry_out(session, ask.DelSlots(_slot_ranges(args)))


@command("CLUSTER FLUSHSLOTS", group="cluster", since="3.0.0", arity=2, flags=CHANGE)
def flush_slots(session: Session, args: list[bytes]) -> bytes:
    """Gives up all slots of this node, which must be empty."""
    return carry_out(session, ask.FlushSlots())


@command(
    "CLUSTER SETSLOT",
    group="cluster",
    since="3.0.0",
    arity=-4,
    flags=CHANGE,
    args="slot:integer (IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE)",
)
def setslot_from(session: Session, args: list[bytes]) -> bytes:
    """Marks a slot as moving in or out, settles its owner, or clears the marks."""
    cluster = cluster_of(session)
    if cluster.my_primary is not None:
        raise CommandError(b"ERR Please use SETSLOT only with masters.")
    slot = required_slot(args[2])
    action = args[3].upper()
    if action == b"STABLE" and len(args) == 4:
        return carry_out(session, ask.SetSlotStable(slot))
    if len(args) == 5:
        node_id = node_id_from(args[4])
        match action:
            case b"MIGRATING":
                return _open(session, ask.SetSlotMigrating(slot, node_id))
            case b"IMPORTING":
                return _open(session, ask.SetSlotImporting(slot, node_id))
            case b"NODE":
                return _open(session, ask.SetSlotNode(slot, node_id))
    raise CommandError(
        b"ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
    )


def _open(
    session: Session, request: ask.SetSlotMigrating | ask.SetSlotImporting | ask.SetSlotNode
) -> bytes:
    """Mark or settle a slot, when the replicas know what is to be."""
    cluster = cluster_of(session)
    table, slot, node_id = cluster.view.table, request.slot, request.node_id
    migrating, importing = dict(table.migrating), dict(table.importing)
    taken: tuple[int, ...] = ()
    match request:
        case ask.SetSlotMigrating():
            migrating[slot] = node_id
        case ask.SetSlotImporting():
            importing[slot] = node_id
        case _ if node_id == cluster.view.my_id and slot in importing:
            taken = (slot,)
    marks = session.machine.slot_migration.marks
    return marks.first_tell(
        session, migrating, importing, taken, lambda: carry_out(session, request)
    )
