"""`check`, `info`, `nodes`, `slots` and `call`: what they tell, to people and to programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from clustrio.tools.bench.processes import REDIS, ServerProcess, reserve_port
from clustrio.tools.local.cluster import LocalCluster

from .shell import KINDS, admin, ask, fill, new_cluster

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with new_cluster(request.param, 3, 1) as cluster:
        fill(cluster, 100)
        yield cluster


def test_a_sound_cluster_is_called_so(cluster: LocalCluster) -> None:
    host, port = cluster.addresses[0]
    for words in ((f"{host}:{port}",), (host, port), (f"redis://{host}:{port}",)):
        assert "everything is in order" in admin("check", *words).must().out
    document = admin("check", f"{host}:{port}", "--json", "--cluster-search-multiple-owners")
    assert document.must().document == {
        "command": "check",
        "ok": True,
        "error": None,
        "masters": [node.address for node in cluster.nodes[:3]],
        "replicas": sorted(node.address for node in cluster.nodes[3:]),
        "covered_slots": 16384,
        "problems": [],
        "migrations": [],
    }


def test_info_counts_keys_slots_and_replicas(cluster: LocalCluster) -> None:
    place = cluster.nodes[5].address
    document = admin("info", place, "--json").must().document
    masters = document["masters"]
    assert isinstance(masters, list)
    assert document["keys"] == 100 == sum(row["keys"] for row in masters)
    assert sum(row["slots"] for row in masters) == 16384
    assert [row["replicas"] for row in masters] == [1, 1, 1]
    assert set(masters[0]) == {"address", "id", "keys", "slots", "slot_ranges", "replicas"}
    assert "100 keys in 3 masters" in admin("info", place).must().out


def test_the_environment_names_the_cluster(cluster: LocalCluster) -> None:
    extra = {"REDIS_URL": cluster.url}
    assert "everything is in order" in admin("check", extra=extra).must().out
    assert "which cluster?" in admin("check").must(2).err


def test_call_asks_all_and_tells_each_answer(cluster: LocalCluster) -> None:
    place = cluster.nodes[0].address
    replies = admin("call", place, "ECHO", "a b", "--json").must().document["replies"]
    assert isinstance(replies, list)
    assert [row["reply"] for row in replies] == ["a b"] * 6
    roles = admin("call", place, "ROLE", "--json", "--cluster-only-replicas").must().document
    assert [row["reply"][0] for row in roles["replies"]] == ["slave"] * 3
    wrong = admin("call", place, "NOSUCH", "--only-masters").must(1)
    assert wrong.out.count("(error) ERR unknown command") == 3
    assert admin("call", place).must(1).err.count("next:") == 1


def test_pipes_hold_no_colour_unless_forced(cluster: LocalCluster) -> None:
    place = cluster.nodes[0].address
    assert "\033" not in admin("check", place).must().out
    assert "\033[32m" in admin("check", place, extra={"FORCE_COLOR": "1"}).must().out
    both = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    assert "\033" not in admin("check", place, extra=both).must().out


def test_what_cannot_be_asked_is_told_with_a_way_out(cluster: LocalCluster) -> None:
    lost = admin("check", "127.0.0.1:1").must(1)
    assert lost.out == ""
    assert "127.0.0.1:1 does not answer: Connection refused" in lost.err
    assert "next: check that the node runs" in lost.err
    document = json.loads(admin("info", "127.0.0.1:1", "--json").must(1).out)
    assert document["ok"] is False
    assert set(document["error"]) == {"text", "next"}
    assert "there is no 'nonsense'" in admin("nonsense").must(2).err
    assert "Usage: clustrio cluster" in admin("--help").must().out
    assert "check" in admin("help").must().out
    admin().must(2)
    admin("check", cluster.nodes[0].address, "--nonsense").must(2)


@pytest.mark.parametrize("kind", KINDS)
def test_passwords_come_from_the_environment_or_the_words(kind: str) -> None:
    with new_cluster(kind, 1) as cluster:
        (node,) = cluster.nodes
        node.call("ACL", "SETUSER", "boss", "on", ">word", "~*", "&*", "+@all")
        node.call("CONFIG", "SET", "requirepass", "secret")
        refused = admin("check", node.address).must(1)
        assert "NOAUTH" in refused.err
        assert "next: give the password: REDISCLI_AUTH" in refused.err
        admin("check", node.address, extra={"REDISCLI_AUTH": "secret"}).must()
        admin("check", node.address, "-a", "secret").must()
        admin("check", node.address, "--user", "boss", "--pass", "word").must()
        wrong = admin("check", node.address, "--pass", "wrong").must(1)
        assert "next: check --user and the password" in wrong.err
        node.call("AUTH", "secret")


def test_a_server_without_cluster_support_is_told() -> None:
    with ServerProcess(REDIS) as server:
        refused = admin("check", f"127.0.0.1:{server.port}").must(1)
        assert "cluster support disabled" in refused.err
        assert "cluster-enabled yes" in refused.err


def test_tls_is_spoken_and_certificates_are_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    reserved = reserve_port()
    options = {
        "cluster-enabled": "yes",
        "tls-port": str(reserved.port),
        "tls-cert-file": str(tmp_path / "cert.pem"),
        "tls-key-file": str(tmp_path / "key.pem"),
        "tls-ca-cert-file": str(tmp_path / "ca.pem"),
        "tls-auth-clients": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    try:
        with ServerProcess(REDIS, words) as server:
            ask(server.port, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            place = f"127.0.0.1:{reserved.port}"
            trusted = ("--tls", "--cacert", tmp_path / "ca.pem")
            admin("info", place, *trusted).must()
            admin("info", place, *trusted, "--sni", "localhost").must()
            admin("info", place, "--tls", "--insecure").must()
            wrong = admin("info", place, *trusted, "--sni", "elsewhere").must(1)
            assert "certificate" in wrong.err.lower()
            admin("info", place, "--tls").must(1)
            admin("info", place).must(1)
            admin("info", place, "--tls", "--cacert", tmp_path / "missing").must(2)
    finally:
        reserved.release()
