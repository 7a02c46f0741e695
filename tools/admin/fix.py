"""Repair what is wrong with slots: half-done moves, slots without an owner or with several.

Keys are never dropped. Nodes that are down are not repaired: start them, or promote replicas.
"""

import argparse

from .diagnosis import problems_of
from .failures import AdminError
from .moving import Mover
from .options import add_action, add_address, add_moving, move_options, open_cluster
from .repairing import Repairer, describe, repair_plan
from .screen import Json, Report, Screen, count
from .topology import Cluster
from .waiting import wait_for_agreement

_SETTLE_S = 3.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument(
        "--no-search",
        action="store_false",
        dest="searches",
        help="do not look for keys in slots that their node does not own",
    )
    parser.add_argument(
        "--search-multiple-owners",
        "--cluster-search-multiple-owners",
        action="store_true",
        dest="searches",
        help=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--fix-with-unreachable-masters",
        "--cluster-fix-with-unreachable-masters",
        "--fix-with-unreachable-primaries",
        "--cluster-fix-with-unreachable-primaries",
        action="store_true",
        dest="with_unreachable",
        help="give the slots of masters that are lost to others",
    )
    parser.set_defaults(searches=True)
    add_action(parser)
    add_moving(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Plan, ask, repair, look again."""
    cluster = open_cluster(options)
    try:
        _settle(cluster, screen, min(_SETTLE_S, options.timeout))
        plan = repair_plan(
            cluster, with_unreachable=options.with_unreachable, searches=options.searches
        )
        actions = [describe(action, cluster) for action in plan.actions()]
        for repair in plan.repairs[:50]:
            screen.say(f"slot {repair.slot}: {repair.case.value}")
        if len(plan.repairs) > 50:
            screen.say(f"... {len(plan.repairs)} slots in all")
        moved_keys = 0
        if plan.repairs and not options.dry_run:
            for text in actions[:50]:
                screen.say(f"  {text}")
            screen.confirm(f"repair {count(len(plan.repairs), 'slot')}?", is_agreed=options.yes)
            mover = Mover(cluster, move_options(options), screen)
            Repairer(cluster, mover, screen).carry_out(plan.repairs)
            moved_keys = mover.moved.keys
            wait_for_agreement(cluster, options.timeout, screen)
        elif options.dry_run:
            for text in actions:
                screen.say(f"  {text}")
        cluster.refresh()
        left = problems_of(cluster)
    finally:
        cluster.close()
    is_well = bool(options.dry_run) or not left
    if not plan.repairs:
        screen.say("nothing to repair among the slots", "green")
    elif not options.dry_run:
        screen.say(f"{count(len(plan.repairs), 'slot')} repaired, {moved_keys:,} keys moved")
    for problem in left:
        screen.say(f"  still {problem.kind}: {problem.text}", "red")
    fields: dict[str, Json] = {
        "dry_run": options.dry_run,
        "repairs": [
            {
                "slot": repair.slot,
                "case": repair.case.name.lower().replace("_", "-"),
                "owner": repair.owner_id,
            }
            for repair in plan.repairs
        ],
        "actions": actions,
        "keys_moved": moved_keys,
        "problems": [{"kind": problem.kind, "text": problem.text} for problem in left],
    }
    return Report(is_well, fields)


def _settle(cluster: Cluster, screen: Screen, timeout_s: float) -> None:
    """Give gossip a moment: what it is about to mend is no damage."""
    try:
        wait_for_agreement(cluster, timeout_s, screen)
    except AdminError as failure:
        screen.note(f"  {failure.text}")
