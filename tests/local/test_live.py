"""The live view: what each node's row says, and that the table fits into a terminal."""

import io
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console

from clustrio.tools.bench.clusters import Line, parse_nodes
from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.local.node import Node
from clustrio.tools.local.views import NodeView
from clustrio.tools.up.live import Looker, Row, row_of, table_of, with_masters

from .clusters import new_cluster
from .test_shape import plans

INFO: Mapping[str, str] = {"db0": "keys=7,expires=0,avg_ttl=0", "used_memory_human": "2.25M"}
OK: Mapping[str, str] = {"cluster_state": "ok"}


class NoEngine:
    """Nodes that nothing runs."""


def node_at(index: int) -> Node:
    return Node(plans()[index], NoEngine())  # type: ignore[arg-type]


def own_line(index: int, slots: str, primary: str = "-") -> dict[str, Line]:
    role = "master" if primary == "-" else "slave"
    address = f"127.0.0.1:{2000 + index}@{12000 + index}"
    return parse_nodes(f"id{index} {address} myself,{role} {primary} 0 0 1 connected {slots}\n")


def view(
    index: int,
    lines: Mapping[str, Line],
    cluster: Mapping[str, str] = OK,
    link: str = "",
) -> NodeView:
    replication = {"master_link_status": link} if link else {}
    return NodeView(
        index,
        is_running=True,
        is_paused=False,
        cluster=cluster if lines else {},
        nodes=lines,
        replication=replication,
    )


def row(index: int, slots: str = "", *, link: str = "", state: str = "ok") -> Row:
    primary = f"id{index - 3}" if index > 2 else "-"
    seen = view(index, own_line(index, slots, primary), {"cluster_state": state}, link)
    return row_of(node_at(index), seen, INFO, 12)


def lines_of(rows: Sequence[Row], width: int) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width, color_system=None).print(table_of(rows))
    return [line.rstrip() for line in output.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("slots", "count", "words"),
    [
        ("0-5460", 5461, "0-5460"),
        ("7", 1, "7"),
        ("0-9 20 30-31 40 50", 15, "0-9 20 30-31 +2"),
        ("0-9 [5->-id1] [6->-id1]", 10, "0-9 (2 moving)"),
        ("", 0, ""),
    ],
)
def test_slots_are_counted_and_told_in_short(slots: str, count: int, words: str) -> None:
    assert (row(0, slots).slots, row(0, slots).ranges) == (count, words)


def test_what_is_wrong_with_a_node_is_its_state() -> None:
    assert row(0, "0-5460").state == "ok"
    assert row(0, "0-5460", state="fail").state == "fail"
    assert row(3, link="down").state == "link down"
    assert row_of(node_at(1), view(1, {}), {}, 0).state == "starting"
    gone = NodeView(1, is_running=False, is_paused=False, cluster={}, nodes={}, replication={})
    assert row_of(node_at(1), gone, {}, 0).state == "down"


def test_replicas_stand_below_their_master_and_all_fits_into_80_columns() -> None:
    slots = ("0-5460", "5461-10921", "10922-16383", "", "", "")
    views = [
        view(index, own_line(index, text, f"id{index - 3}" if index > 2 else "-"))
        for index, text in enumerate(slots)
    ]
    rows = with_masters([row(index, text) for index, text in enumerate(slots)], views)
    assert [each.number for each in rows] == [0, 3, 1, 4, 2, 5]
    lines = lines_of(rows, 80)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert sum("└ replica" in line for line in lines) == 3
    assert any("6 nodes, all slots served" in line for line in lines)


def test_holes_and_who_is_unwell_are_told() -> None:
    words = " ".join(lines_of([row(0, "0-5460", state="fail")], 80))
    assert "5461 of 16384 slots served, 1 unwell" in words


@pytest.mark.slow
def test_an_idle_cluster_is_idle_and_a_busy_one_is_not() -> None:
    """The view's own questions do not count."""
    with new_cluster("threads", masters=3, replicas=0) as cluster:
        looker = Looker(cluster)
        looker.look()
        assert [each.operations for each in looker.look()] == [0, 0, 0]
        for _ in range(200):
            cluster.nodes[1].call("PING")
        assert [each.operations > 0 for each in looker.look()] == [False, True, False]


@pytest.mark.slow
def test_a_killed_node_is_down_and_its_shard_is_missing() -> None:
    with new_cluster("threads", masters=3, replicas=0) as cluster:
        assert isinstance(cluster, LocalCluster)
        cluster.kill(2)
        rows = Looker(cluster).look()
    assert [each.state == "down" for each in rows] == [False, False, True]
    assert sum(each.slots for each in rows) == 10_922
