"""DEBUG's levers for the bus on real processes: ours, and redis-server's where it has them."""

from collections.abc import Iterator
from functools import partial

import pytest

from clustrio.tools.bench.clusters import (
    FAIL,
    PFAIL,
    ClusterNode,
    form,
    health_in,
    not_ok,
    running,
    wait_until,
)

pytestmark = pytest.mark.slow

PING = 0


@pytest.fixture(
    params=["clustrio", pytest.param("redis", marks=pytest.mark.redis_server)],
)
def nodes(request: pytest.FixtureRequest) -> Iterator[list[ClusterNode]]:
    """Three primaries that may be debugged."""
    count = {request.param: 3}
    with running(**count, arguments=("--enable-debug-command", "yes")) as nodes:
        form(nodes)
        yield nodes


def unlike(view: ClusterNode, node_id: str, *wanted: str) -> str:
    health = health_in(view, node_id)
    return "" if health in wanted else f"it is {health!r}"


def link_times(node: ClusterNode, node_id: str) -> dict[str, object]:
    """When the links with a node were made, by direction."""
    found: dict[str, object] = {}
    for row in node.items("CLUSTER", "LINKS"):
        assert isinstance(row, list)
        fields = dict(zip(row[::2], row[1::2], strict=True))
        if fields[b"node"] == node_id.encode():
            direction = fields[b"direction"]
            assert isinstance(direction, bytes)
            found[direction.decode()] = fields[b"create-time"]
    return found


@pytest.mark.parametrize("direction", ["to", "from", "all"])
def test_links_that_are_killed_are_made_again(nodes: list[ClusterNode], direction: str) -> None:
    one, other = nodes[0], nodes[1].node_id
    wait_until("linked", lambda: "" if len(link_times(one, other)) == 2 else "not both", nodes)
    before = link_times(one, other)
    killed = {"to", "from"} if direction == "all" else {direction}
    assert one.call("DEBUG", "CLUSTERLINK", "KILL", direction, other) == b"OK"

    def complaint() -> str:
        now = link_times(one, other)
        anew = {name for name in now if now[name] != before[name]}
        return "" if len(now) == 2 and killed <= anew else f"{before} {now}"

    wait_until("linked anew", complaint, nodes)
    wait_until("still ok", lambda: not_ok(nodes), nodes)


def test_whose_pings_are_not_heard_is_suspected_until_they_are(nodes: list[ClusterNode]) -> None:
    view, deaf = nodes[0], nodes[1]
    deaf_id = deaf.node_id
    assert deaf.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", PING) == b"OK"
    if not deaf.is_real:
        # Its own pings are a sign of life, so its links have to go, too.
        assert deaf.call("DEBUG", "CLOSE-CLUSTER-LINK-ON-PACKET-DROP", 1) == b"OK"
    deaf.call("DEBUG", "PAUSE-CRON", 1)
    wait_until("suspected", partial(unlike, view, deaf_id, PFAIL, FAIL), nodes)
    assert deaf.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1) == b"OK"
    deaf.call("DEBUG", "PAUSE-CRON", 0)
    wait_until("found well", partial(unlike, view, deaf_id, ""), nodes)
    if not deaf.is_real:
        # Of three real ones the third went on to find it failed for a minute, once.
        wait_until("ok again", lambda: not_ok(nodes), nodes)


def test_without_its_cron_a_node_finds_nobody_failing(nodes: list[ClusterNode]) -> None:
    view, idle, victim = nodes
    victim_id = victim.node_id
    idle.call("DEBUG", "PAUSE-CRON", 1)
    victim.kill()
    wait_until("suspected by one", partial(unlike, view, victim_id, PFAIL), nodes)
    assert health_in(idle, victim_id) == ""
    idle.call("DEBUG", "PAUSE-CRON", 0)
    for node in (view, idle):
        wait_until("failed", partial(unlike, node, victim_id, FAIL), nodes)


def test_errors(nodes: list[ClusterNode]) -> None:
    caller = nodes[0]
    for words, text in (
        (("DROP-CLUSTER-PACKET-FILTER", "x"), "ERR value is not an integer or out of range"),
        (("CLUSTERLINK", "KILL", "all", "abc"), "ERR Unknown node abc"),
    ):
        with pytest.raises(Exception, match=text):
            caller.call("DEBUG", *words)
