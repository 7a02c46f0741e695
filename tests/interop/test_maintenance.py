"""redis-py's cluster client hears of slot moves: it knows the new owner before any redirect."""

from collections.abc import Callable, Iterator

import pytest
from redis.cluster import RedisCluster
from redis.maint_notifications import MaintNotificationsConfig

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import (
    ClusterNode,
    begin_move,
    end_move,
    form,
    running,
    wait_until,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ClusterNode]]:
    with running(clustrio=2) as started:
        form(started)
        yield started


def move_by_hand(nodes: list[ClusterNode], slot: int) -> None:
    _, target = begin_move(nodes, slot)
    end_move(nodes, slot, target)


def move_at_once(nodes: list[ClusterNode], slot: int) -> None:
    source = next(node for node in nodes if node.serves(slot))
    target = next(node for node in nodes if node is not source)
    source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.node_id)


@pytest.mark.parametrize("move", [move_by_hand, move_at_once])
def test_redis_py_knows_the_new_owner(
    nodes: list[ClusterNode], move: Callable[[list[ClusterNode], int], None]
) -> None:
    slot = key_slot(b"wanderer")
    source = next(node for node in nodes if node.serves(slot))
    other = next(f"settled:{n}" for n in range(99) if source.serves(key_slot(b"settled:%d" % n)))
    target = next(node for node in nodes if node is not source)
    with RedisCluster(
        *("127.0.0.1", source.port),
        protocol=3,
        # A node that does not know the word fails the test.
        maint_notifications_config=MaintNotificationsConfig(enabled=True),
    ) as client:
        client.set(other, "x")

        def known_port() -> int:
            found = client.nodes_manager.slots_cache[slot][0].port
            assert isinstance(found, int)
            return found

        assert known_port() == source.port
        move(nodes, slot)

        def complaint() -> str:
            # Nobody asks for the slot itself, so that nobody is redirected.
            assert client.get(other) == b"x"
            return "" if known_port() == target.port else "the client knows the old owner"

        wait_until("the news", complaint, nodes)
        assert client.set("wanderer", "there")
