"""CLUSTER: whole slots move to another node with all their keys, in one moment."""

from collections.abc import Callable, Sequence
from typing import Final

from ..cluster import Cluster
from ..errors import SYNTAX, CommandError
from ..migration.marks import parse_marks
from ..registry import command
from ..resp.encoder import OK, array, bulk, integer
from ..session import ClientKind, Session
from ..values.numbers import parse_integer
from .arguments import required_slot
from .cluster_brain import CHANGE, carry_out, cluster_of

_ID_LENGTH: Final = 40
_NO_RANGES: Final = CommandError(b"ERR No slot ranges specified")
_NO_END: Final = CommandError(b"ERR No end slot for final slot range")

Ranges = list[tuple[int, int]]


def _ranges_from(args: list[bytes], place: int) -> tuple[Ranges, int]:
    """The ranges that begin here, and the place behind them: the first word that is no number."""
    ranges: Ranges = []
    while place < len(args) and parse_integer(args[place]) is not None:
        first = required_slot(args[place])
        if place + 1 >= len(args):
            raise _NO_END
        last = required_slot(args[place + 1])
        if first > last:
            raise CommandError(
                b"ERR Start slot number %d is greater than end slot number %d." % (first, last)
            )
        for other_first, other_last in ranges:
            if first <= other_last and other_first <= last:
                raise CommandError(
                    b"ERR Slot range %d-%d overlaps with previous range %d-%d."
                    % (first, last, other_first, other_last)
                )
        ranges.append((first, last))
        place += 2
    if not ranges:
        raise _NO_RANGES
    return ranges, place


def _slots_of(ranges: Ranges) -> list[int]:
    return [slot for first, last in ranges for slot in range(first, last + 1)]


@command(
    "CLUSTER MIGRATESLOTS",
    group="cluster",
    since="9.0.0",
    arity=-4,
    flags=CHANGE,
    args="(SLOTSRANGE (start-slot:integer end-slot:integer)... NODE node-id)...",
    complexity="O(N) in the number of slots",
)
def migrate_slots(session: Session, args: list[bytes]) -> bytes:
    """Begins to move slots of this node, with their keys, to other nodes."""
    cluster = cluster_of(session)
    migration = session.machine.slot_migration
    migration.check_startable()
    moves: list[tuple[Ranges, str]] = []
    seen: set[int] = set()
    place = 2
    while place < len(args):
        if args[place].upper() != b"SLOTSRANGE":
            raise SYNTAX
        ranges, place = _ranges_from(args, place + 1)
        _check_slots(cluster, session, _slots_of(ranges), seen)
        if place + 1 >= len(args) or args[place].upper() != b"NODE":
            raise SYNTAX
        moves.append((ranges, _target(cluster, args[place + 1])))
        place += 2
    migration.start(moves)
    return OK


def _check_slots(cluster: Cluster, session: Session, slots: list[int], seen: set[int]) -> None:
    """Refuse slots that are not ours to move; note those that are in `seen`."""
    table, my_id = cluster.view.table, cluster.view.my_id
    for slot in slots:
        if table.owner(slot) is None:
            raise CommandError(b"ERR Slot %d has no node served." % slot)
    owners = {table.owner(slot) for slot in slots}
    if len(owners) > 1:
        raise CommandError(b"ERR Requested slots span multiple shards")
    if owners != {my_id}:
        raise CommandError(b"ERR Slots are not served by this node.")
    for slot in slots:
        if session.machine.slot_migration.is_exporting(slot):
            raise CommandError(b"ERR I am already migrating slot %d." % slot)
    if not seen.isdisjoint(slots):
        raise CommandError(b"ERR Slot ranges in migrations overlap")
    seen.update(slots)


def _target(cluster: Cluster, text: bytes) -> str:
    if len(text) != _ID_LENGTH:
        raise CommandError(b"ERR Invalid node name: %b" % text)
    node_id = text.decode("latin-1")
    node = cluster.core.state.maybe_member(node_id)
    if node is None:
        raise CommandError(b"ERR Unknown node name: %b" % text)
    if node_id == cluster.view.my_id:
        raise CommandError(b"ERR Target node can not be this node.")
    if node.is_replica:
        raise CommandError(b"ERR Target node is not a primary.")
    return node_id


@command("CLUSTER GETSLOTMIGRATIONS", group="cluster", since="9.0.0", arity=2, flags=CHANGE)
def get_slot_migrations(session: Session, args: list[bytes]) -> bytes:
    """Lists the moves of slots that go on, and the latest ones that are over."""
    cluster_of(session)
    encoder = session.encoder
    rows: list[bytes] = []
    for job in session.machine.slot_migration.log.jobs:
        fields = job.fields()
        rows.append(encoder.map_header(len(fields)))
        for name, value in fields:
            rows[-1] += bulk(name.encode())
            rows[-1] += integer(value) if isinstance(value, int) else bulk(value.encode())
    return array(rows)


@command(
    "CLUSTER CANCELSLOTMIGRATIONS",
    group="cluster",
    since="9.0.0",
    arity=-2,
    flags=CHANGE,
    args="[ALL]",
    complexity="O(N) in the number of moves",
)
def cancel_slot_migrations(session: Session, args: list[bytes]) -> bytes:
    """Ends all moves of slots away from this node, which keeps them."""
    cluster_of(session)
    if [word.upper() for word in args[2:]] not in ([], [b"ALL"]):
        raise SYNTAX
    if not session.machine.slot_migration.cancel_all():
        raise CommandError(b"ERR No migrations ongoing")
    return OK


# --- between nodes
# -----------------------------------------------------------------------------


@command(
    "CLUSTER SYNCSLOTS",
    group="cluster",
    since="9.0.0",
    arity=-3,
    flags=CHANGE,
    args="step [argument...]",
    complexity="That of the step",
)
def sync_slots(session: Session, args: list[bytes]) -> bytes:
    """Is said by a node that sends slots to the one that gets them, never by clients."""
    cluster_of(session)
    step = _STEPS.get(args[2].upper())
    if step is None:
        raise SYNTAX
    return step(session, args)


def _job_words(args: Sequence[bytes]) -> tuple[dict[bytes, str], Ranges]:
    """The named words of a step; SLOTSRANGE among them."""
    names: dict[bytes, str] = {}
    ranges: Ranges = []
    place = 3
    while place < len(args):
        word = args[place].upper()
        if word == b"SLOTSRANGE" and not ranges:
            ranges, place = _ranges_from(list(args), place + 1)
        elif (
            word in (b"SOURCE", b"NAME")
            and word not in names
            and place + 1 < len(args)
            and len(args[place + 1]) == _ID_LENGTH
        ):
            names[word] = args[place + 1].decode("latin-1")
            place += 2
        else:
            raise SYNTAX
    if not ranges or b"NAME" not in names:
        raise SYNTAX
    return names, ranges


def _establish(session: Session, args: list[bytes]) -> bytes:
    names, ranges = _job_words(args)
    source_id = names.get(b"SOURCE")
    if source_id is None:
        raise SYNTAX
    cluster = cluster_of(session)
    if cluster.core.state.maybe_member(source_id) is None:
        raise CommandError(b"ERR Target node does not know the source node")
    if source_id == cluster.view.my_id:
        raise CommandError(b"ERR Source node is target node itself")
    session.machine.slot_migration.establish(session, names[b"NAME"], source_id, ranges)
    return OK


def _keys(session: Session, args: list[bytes]) -> bytes:
    session.machine.slot_migration.receive(session, args[3:])
    return OK


def _prepare(session: Session, args: list[bytes]) -> bytes:
    return integer(session.machine.slot_migration.propose_epoch(session))


def _finish(session: Session, args: list[bytes]) -> bytes:
    epoch = parse_integer(args[3]) if len(args) == 4 else None
    if epoch is None:
        raise SYNTAX
    session.machine.slot_migration.take(session, epoch)
    return OK


def _status(session: Session, args: list[bytes]) -> bytes:
    names, ranges = _job_words(args)
    outcome = session.machine.slot_migration.outcome(names[b"NAME"], _slots_of(ranges))
    return bulk(outcome.encode())


def _marks(session: Session, args: list[bytes]) -> bytes:
    """A primary tells its replicas which slots it has on the move."""
    request = parse_marks(args[3:])
    if session.kind is not ClientKind.MASTER or request is None:
        raise SYNTAX
    return carry_out(session, request)


_STEPS: Final[dict[bytes, Callable[[Session, list[bytes]], bytes]]] = {
    b"ESTABLISH": _establish,
    b"KEYS": _keys,
    b"PREPARE": _prepare,
    b"FINISH": _finish,
    b"STATUS": _status,
    b"MARKS": _marks,
}
