"""`clustrio cluster create`: plans, refusals, clusters of both kinds, and a second try."""

import pytest

from clustrio.tools.bench.clusters import ClusterNode, not_ok, wait_until

from .shell import KINDS, address, admin, bare_nodes

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


@pytest.mark.parametrize("kind", KINDS)
def test_masters_and_replicas_serve(kind: str) -> None:
    with bare_nodes(kind, 6) as nodes:
        places = list(map(address, nodes))
        plan = admin("create", *places, "--replicas", 1, "--dry-run", "--json").must().document
        assert plan["created"] is False
        assert nodes[0].info()["cluster_known_nodes"] == "1"
        made = admin("create", *places, "--cluster-replicas", 1, "--cluster-yes", "--json")
        document = made.must().document
        assert document["masters"] == plan["masters"]
        assert [row["slots"] for row in document["masters"]] == [
            "0-5460",
            "5461-10922",
            "10923-16383",
        ]
        assert len(document["replicas"]) == 3
        assert document["ok"] is True
        checked = admin("check", places[4]).must()
        assert "3 masters and 3 replicas, 16,384 of 16,384 slots covered" in checked.out
        again = admin("create", *places, "--replicas", 1, "--yes").must(1)
        assert "belongs to a cluster already" in again.err
        assert "CLUSTER RESET" in again.err


def test_one_master_is_enough_and_what_that_means_is_said() -> None:
    with bare_nodes("redis", 1) as (node,):
        made = admin("create", address(node), "--yes").must()
        assert "with 1 master there is no automatic failover" in made.out
        assert node.is_ok()


def test_a_broken_off_run_is_finished_by_the_next() -> None:
    with bare_nodes("redis", 4) as nodes:
        places = list(map(address, nodes))
        # What a run leaves that was killed while the nodes met.
        nodes[0].call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        nodes[0].call("CLUSTER", "SET-CONFIG-EPOCH", 1)
        nodes[1].call("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        admin("create", *places, "--replicas", 1, "--yes").must()
        admin("check", places[3]).must()


def test_what_is_no_empty_node_is_refused() -> None:
    with bare_nodes("redis", 3) as nodes:
        _refuse_keys(nodes)
        absent = admin("create", *map(address, nodes[1:]), "127.0.0.1:1", "--yes").must(1)
        assert "127.0.0.1:1 does not answer: Connection refused" in absent.err
        assert nodes[1].info()["cluster_known_nodes"] == "1"


def _refuse_keys(nodes: list[ClusterNode]) -> None:
    nodes[0].call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until("it serves", lambda: not_ok(nodes[:1]), nodes)
    nodes[0].call("SET", "key", "value")
    nodes[0].call("CLUSTER", "DELSLOTSRANGE", 0, 16383)
    refused = admin("create", *map(address, nodes), "--yes").must(1)
    assert "is not empty: it holds 1 keys" in refused.err
    assert "next: move them out" in refused.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("127.0.0.1:7000", "127.0.0.1:7000"), "given twice"),
        (("nonsense",), "'nonsense' is no address"),
        (("127.0.0.1:99999",), "is no address"),
        ((), "required"),
        (("127.0.0.1:7000", "--replicas", "-1"), "whole number"),
    ],
)
def test_wrong_words_end_with_2(words: tuple[str, ...], text: str) -> None:
    assert text in admin("create", *words).must(2).err


def test_too_few_nodes_are_told_before_any_is_asked() -> None:
    refused = admin("create", "127.0.0.1:1", "--replicas", 1, "--json").must(1)
    assert "not enough" in str(refused.document["error"])
