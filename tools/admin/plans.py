"""Showing and carrying out a plan of moves; `reshard`, `rebalance` and `del-node` share it.

Owns the text of plans. Rules: what was left half-moved is finished before anything new is planned;
the plan is shown before the question; after the moves the nodes agree, or it is told who does not.
"""

from collections.abc import Sequence

from ...slots.plan_moves import Move
from ...slots.slotset import SlotSet
from .moving import Moved, MoveOptions, Mover
from .reminding import reminder
from .screen import Json, Screen, count, size
from .topology import Cluster
from .waiting import wait_for_agreement


def transfers(moves: Sequence[Move]) -> dict[tuple[str, str], SlotSet]:
    """What goes from whom to whom."""
    slots: dict[tuple[str, str], list[int]] = {}
    for move in moves:
        slots.setdefault((move.source_id, move.target_id), []).append(move.slot)
    return {pair: SlotSet.of(each) for pair, each in slots.items()}


def show_moves(cluster: Cluster, moves: Sequence[Move], screen: Screen) -> None:
    """A line for each pair of nodes."""
    for (source_id, target_id), slots in transfers(moves).items():
        source, target = cluster.by_id(source_id), cluster.by_id(target_id)
        screen.say(f"{source.name} -> {target.name}: {count(len(slots), 'slot')} ({slots.text()})")


def moves_fields(cluster: Cluster, moves: Sequence[Move]) -> list[Json]:
    """The same as JSON."""
    return [
        {
            "source": cluster.by_id(source_id).name,
            "source_id": source_id,
            "target": cluster.by_id(target_id).name,
            "target_id": target_id,
            "count": len(slots),
            "slots": slots.text(),
        }
        for (source_id, target_id), slots in transfers(moves).items()
    ]


def carry_out(
    cluster: Cluster, moves: Sequence[Move], how: MoveOptions, screen: Screen, what: str
) -> Moved:
    """Move, and wait until everybody knows."""
    moved = Mover(cluster, how, screen).carry_out(moves, what)
    wait_for_agreement(cluster, how.timeout_s, screen, reminder(cluster, moves, screen))
    way = "atomically" if moved.atomic_slots == moved.slots else f"with {moved.keys:,} keys"
    per_second = moved.slots / moved.seconds if moved.seconds else 0.0
    text = f"{count(moved.slots, 'slot')} moved {way} in {moved.seconds:.1f} s"
    screen.say(f"{text}, {per_second:,.0f} slots/s", "green")
    return moved


def moved_fields(moved: Moved) -> dict[str, Json]:
    """What was done as JSON."""
    return {
        "slots_moved": moved.slots,
        "slots_moved_atomically": moved.atomic_slots,
        "keys_moved": moved.keys,
        "seconds": round(moved.seconds, 3),
    }


def human(load: float, by: str) -> str:
    """A load for people."""
    return size(load) if by == "memory" else f"{load:,.0f}"
