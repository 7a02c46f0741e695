"""`clustrio status`: the local clusters that were left running, and how they fare.

Exit codes: 0 all serve, 1 one does not, or none runs, 2 wrong usage.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from attrs import asdict, frozen

from ..wire import Caller, CallError
from .state import ClusterState, StateError, running_clusters

_ASK_TIMEOUT_S = 2.0


@frozen
class NodeStatus:
    """One node, as itself sees it."""

    port: int
    role: str
    state: str
    slots: str
    """As CLUSTER NODES writes them."""


def ask(port: int) -> NodeStatus:
    """How a node fares; state `down` if it does not answer."""
    try:
        caller = Caller(port, _ASK_TIMEOUT_S)
        try:
            info, nodes = (caller.call("CLUSTER", word) for word in ("INFO", "NODES"))
        finally:
            caller.close()
    except (OSError, CallError):
        return NodeStatus(port, "", "down", "")
    assert isinstance(info, bytes)
    assert isinstance(nodes, bytes)
    own = next(line for line in nodes.decode().splitlines() if "myself" in line).split()
    role = "replica" if "slave" in own[2] else "master"
    state = "ok" if b"cluster_state:ok" in info else "fail"
    return NodeStatus(port, role, state, " ".join(own[8:]))


def main(arguments: Sequence[str]) -> int:
    """The subcommand."""
    parser = argparse.ArgumentParser(
        prog="clustrio status", description="Show the local clusters that were left running."
    )
    parser.add_argument("--name", default=None, help="only this one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        found = [
            (state, [ask(port) for port in state.ports])
            for state in running_clusters()
            if options.name in (None, state.name)
        ]
    except StateError as failure:
        print(f"clustrio status: {failure}", file=sys.stderr)
        return 1
    if options.json:
        rows = [{**asdict(state), "nodes": list(map(asdict, nodes))} for state, nodes in found]
        print(json.dumps(rows))
    else:
        _print(found)
    is_well = bool(found) and all(node.state == "ok" for _, nodes in found for node in nodes)
    return 0 if is_well else 1


def _print(found: Sequence[tuple[ClusterState, Sequence[NodeStatus]]]) -> None:
    if not found:
        print("no cluster is running", file=sys.stderr)
    for state, nodes in found:
        print(f"{state.name}: {len(nodes)} nodes in {state.folder}")
        for node in nodes:
            print(f"  127.0.0.1:{node.port:<6} {node.role:<8} {node.state:<5} {node.slots}")
