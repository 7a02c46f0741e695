"""Move slots to a master: a number of them (--slots), up to a total (--until), or these very ones
(--slot-ranges).

Broken off at any step, the same command again finishes what was left half-moved first, and counts
it. With --slot-ranges and --until it then does exactly what is left; a plain --slots N cannot know
how much of it an earlier run did, which is why the plan is told in terms of --slot-ranges as well.
"""

import argparse
import sys
from collections.abc import Sequence

from ...slots.plan_fix import FinishMove, SlotRepair
from ...slots.plan_moves import Move
from ...slots.plan_reshard import plan_reshard, plan_reshard_slots
from ...slots.slotset import SlotSet
from .failures import AdminError, UsageError
from .moving import Moved, Mover
from .options import add_action, add_address, add_moving, move_options, open_cluster, whole
from .plans import carry_out, moved_fields, moves_fields, show_moves
from .repairing import finish_interrupted
from .screen import Json, Report, Screen, count
from .topology import Cluster, Node


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument("--to", "--cluster-to", metavar="NODE", help="id or HOST:PORT of a master")
    parser.add_argument(
        "--from",
        "--cluster-from",
        dest="sources",
        metavar="NODE,...",
        help="the masters that give, or 'all' (the default)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--slots", "--cluster-slots", type=whole, metavar="N", help="so many")
    which.add_argument("--until", type=whole, metavar="N", help="until the target has so many")
    which.add_argument("--slot-ranges", metavar="0-99,200", help="these very slots")
    add_action(parser)
    add_moving(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Finish what was begun, plan, ask, move."""
    cluster = open_cluster(options)
    try:
        _ask_what_is_missing(cluster, options, screen)
        target = cluster.find(options.to)
        if not target.is_primary:
            primary = target.line.primary_id or ""
            way_out = f"give its master: --to {primary[:8]}"
            raise AdminError(f"{target.name} is a replica", way_out)
        how = move_options(options)
        finisher = Mover(cluster, how, screen)
        finished = finish_interrupted(cluster, finisher, screen, is_dry=options.dry_run)
        if finished and not options.dry_run:
            cluster.refresh()
            target = cluster.find(options.to)
        moves = _plan(cluster, options, target, finished)
        show_moves(cluster, moves, screen)
        fields: dict[str, Json] = {
            "dry_run": options.dry_run,
            "target": target.name,
            "finished_slots": [repair.slot for repair in finished],
            "moves": moves_fields(cluster, moves),
        }
        moved = Moved()
        if not moves:
            screen.say("nothing to move", "green")
        elif not options.dry_run:
            screen.confirm(
                f"move {count(len(moves), 'slot')} to {target.name}?", is_agreed=options.yes
            )
            if options.slots is not None:
                named = SlotSet.of(move.slot for move in moves).text().replace(" ", ",")
                screen.note(f"if this breaks off, go on with: --slot-ranges {named}")
            moved = carry_out(cluster, moves, how, screen, f"moving slots to {target.name}")
        return Report(True, {**fields, **moved_fields(moved)})
    finally:
        cluster.close()


def _plan(
    cluster: Cluster, options: argparse.Namespace, target: Node, finished: Sequence[SlotRepair]
) -> list[Move]:
    primaries = cluster.plan_primaries()
    if options.slot_ranges is not None:
        try:
            wanted = SlotSet.of_text(options.slot_ranges.replace(",", " "))
        except ValueError as failure:
            raise UsageError(f"--slot-ranges: {failure}") from None
        return plan_reshard_slots(primaries, target.node_id, wanted)
    if options.until is not None:
        wanted_count = options.until - len(target.line.slots)
    else:
        wanted_count = options.slots - sum(
            isinstance(action, FinishMove) and action.target_id == target.node_id
            for repair in finished
            for action in repair.actions
        )
    sources = None
    if options.sources not in (None, "all"):
        sources = [cluster.find(word).node_id for word in options.sources.split(",") if word]
    if wanted_count <= 0:
        return []
    return plan_reshard(primaries, target.node_id, wanted_count, sources)


def _ask_what_is_missing(cluster: Cluster, options: argparse.Namespace, screen: Screen) -> None:
    """At a terminal whatever was not said is asked, as redis-cli does."""
    is_counted = not (options.slots is None and options.until is None)
    is_counted = is_counted or options.slot_ranges is not None
    if options.to and is_counted:
        return
    if not sys.stdin.isatty() or screen.is_json:
        raise UsageError("--to, and one of --slots, --until and --slot-ranges, are needed")
    for node in cluster.primaries:
        screen.note(f"  {node.node_id[:8]} {node.name:<22} {count(len(node.line.slots), 'slot')}")
    if not is_counted:
        options.slots = _asked_number("How many slots are to be moved? ")
    if not options.to:
        options.to = _asked("To which master (id or HOST:PORT)? ")
        options.sources = options.sources or _asked("From which ones (comma between, or all)? ")


def _asked(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        raise UsageError("nothing was answered")
    return answer


def _asked_number(question: str) -> int:
    answer = _asked(question)
    if not answer.isdecimal() or not int(answer):
        raise UsageError(f"{answer!r} is no number of slots")
    return int(answer)
