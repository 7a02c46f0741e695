"""Tell whether a cluster is in order: members, health, slots, open moves, agreement.

Exit code 1 if anything is wrong.
"""

import argparse

from .diagnosis import active_jobs, problems_of, shortened
from .options import add_address, open_cluster
from .screen import Json, Report, Screen, count
from .topology import Cluster


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument(
        "--search-multiple-owners",
        "--cluster-search-multiple-owners",
        action="store_true",
        dest="searches",
        help="also look for keys in slots that their node does not own",
    )


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Look and tell."""
    cluster = open_cluster(options)
    try:
        problems = problems_of(cluster, with_strays=options.searches)
        jobs = active_jobs(cluster)
    finally:
        cluster.close()
    covered = 16_384 - len(cluster.uncovered())
    screen.say(
        f"{count(len(cluster.primaries), 'master')} and {count(len(cluster.replicas), 'replica')}, "
        f"{covered:,} of 16,384 slots covered"
    )
    for node, job in jobs:
        screen.say(f"  under way: {shortened(job.slots)} leaves {node.name} ({job.state})", "cyan")
    for problem in problems:
        screen.say(f"  {problem.kind}: {problem.text}", "red")
    if problems:
        screen.say(f"{count(len(problems), 'problem')}: {way_out([p.kind for p in problems])}")
    else:
        screen.say("everything is in order", "green")
    rows: list[Json] = [
        {
            "kind": problem.kind,
            "text": problem.text,
            "nodes": problem.nodes,
            "slots": problem.slots.text(),
        }
        for problem in problems
    ]
    fields: dict[str, Json] = {
        **shape_fields(cluster),
        "covered_slots": covered,
        "problems": rows,
        "migrations": [
            {"source": node.name, "slots": job.slots.text(), "state": job.state}
            for node, job in jobs
        ],
    }
    return Report(not problems, fields)


def shape_fields(cluster: Cluster) -> dict[str, Json]:
    """Masters and replicas as JSON."""
    return {
        "masters": [node.name for node in cluster.primaries],
        "replicas": [node.name for node in cluster.replicas],
    }


def way_out(kinds: list[str]) -> str:
    """What to do about the worst of them."""
    if "unreachable" in kinds or "failing" in kinds:
        return "start the nodes that are down, or promote replicas: clustrio cluster failover"
    if {"open", "uncovered", "disputed", "stray-keys"} & set(kinds):
        return "repair it with: clustrio cluster fix"
    return "wait some seconds for the nodes to agree, and check again"
