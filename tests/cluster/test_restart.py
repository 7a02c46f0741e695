"""A node that was killed comes back as who it was, and no two processes are one node."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    shape_of,
    slot_shares,
    wait_until,
)
from clustrio.tools.bench.processes import CLUSTRIO, reserve_port

pytestmark = pytest.mark.slow


def start_and_see_it_end(folder: Path) -> tuple[int, str]:
    """Start a node in this folder, at a port of its own; its exit code, and what it printed."""
    reserved = reserve_port()
    try:
        done = subprocess.run(
            [*CLUSTRIO, "--port", str(reserved.port), "--cluster-enabled", "yes", "--save", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=folder,
            check=False,
        )
    finally:
        reserved.release()
    return done.returncode, done.stdout + done.stderr


def epochs(node: ClusterNode) -> tuple[str, str]:
    info = node.info()
    return info["cluster_current_epoch"], info["cluster_my_epoch"]


@pytest.fixture(scope="module")
def shared_nodes() -> Iterator[list[ClusterNode]]:
    with running(clustrio=3, timeout_ms=1000) as nodes:
        form(nodes)
        yield nodes


@pytest.fixture
def nodes(shared_nodes: list[ClusterNode]) -> list[ClusterNode]:
    """A cluster that serves, whatever the test before has done to it."""
    for node in shared_nodes:
        if not node.is_running():
            node.start_again()
    settle(shared_nodes)
    return shared_nodes


def settle(nodes: list[ClusterNode]) -> None:
    wait_until("ok again", lambda: not_ok(nodes), nodes)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)


def test_a_killed_node_comes_back_with_its_id_epochs_and_slots(nodes: list[ClusterNode]) -> None:
    nodes[1].call("CLUSTER", "BUMPEPOCH")
    slot = slot_shares(3)[1][0]
    nodes[1].call("CLUSTER", "SETSLOT", slot, "MIGRATING", nodes[2].node_id)
    settle(nodes)
    before, before_epochs = shape_of(nodes[1].lines()), epochs(nodes[1])
    own_line = nodes[1].lines()[nodes[1].node_id]
    assert f"[{slot}->-{nodes[2].node_id}]" in own_line.slots
    nodes[1].kill()
    nodes[1].start_again()
    # Everything is there from the first moment, not learned from the others.
    after = nodes[1].lines()[own_line.node_id]
    assert (after.slots, after.config_epoch) == (own_line.slots, own_line.config_epoch)
    assert epochs(nodes[1]) == before_epochs
    settle(nodes)
    assert shape_of(nodes[1].lines()) == before
    nodes[1].call("CLUSTER", "SETSLOT", slot, "STABLE")


def test_a_whole_cluster_survives_being_killed_at_once(nodes: list[ClusterNode]) -> None:
    before = shape_of(nodes[0].lines())
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start_again()
    settle(nodes)
    assert shape_of(nodes[0].lines()) == before


def test_a_node_that_moved_to_another_port_is_found_there(nodes: list[ClusterNode]) -> None:
    node_id, old_port = nodes[2].node_id, nodes[2].port
    nodes[2].kill()
    nodes[2].restart()
    assert nodes[2].port != old_port
    settle(nodes)
    new_address = f"127.0.0.1:{nodes[2].port}@{nodes[2].port + 10_000}"
    assert nodes[0].lines()[node_id].address == new_address


def test_a_second_process_on_one_nodes_conf_is_refused() -> None:
    with running(clustrio=1) as (node,):
        code, text = start_and_see_it_end(node.folder)
        assert code == 1
        assert (
            f"Sorry, the cluster configuration file {node.folder.resolve()}/nodes.conf is already "
            "used by a different Redis Cluster node. Please make sure that different nodes use "
            "different cluster configuration files." in text
        )
        # Also after the file was replaced by a new version.
        node.call("CLUSTER", "ADDSLOTS", 1)
        assert start_and_see_it_end(node.folder)[0] == 1
        assert node.call("PING") == b"PONG"


#: What becomes of the text of the file, and the line that is to blame for it.
DAMAGES: Final[dict[str, tuple[Callable[[str], str], str]]] = {
    "empty": (lambda text: "", "line 1: the file is empty"),
    "flag": (lambda text: text.replace("myself,master", "myself,owner"), "line 1: flags"),
    "vars": (lambda text: text.replace("vars current", "vars x current"), "line 3: variables"),
    "cut": (lambda text: text[: text.index("\n") - 3], "line 1: the last line is cut off"),
    "nobody": (lambda text: text.replace("myself,", ""), "no line is flagged myself"),
}


def test_a_damaged_nodes_conf_is_named_and_left_alone() -> None:
    with running(clustrio=1) as (node,):
        node.call("CLUSTER", "ADDSLOTSRANGE", 0, 100)
        node.kill()
        path = node.folder / "nodes.conf"
        whole = path.read_text()
        for name, (damage, blamed) in DAMAGES.items():
            damaged = damage(whole)
            assert damaged != whole, name
            path.write_text(damaged)
            code, text = start_and_see_it_end(node.folder)
            assert code == 1, name
            assert "Unrecoverable error: corrupted cluster config file" in text
            assert blamed in text
            assert path.read_text() == damaged
            assert [*node.folder.glob("nodes.conf*")] == [path]
