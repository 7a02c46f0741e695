"""nodes.conf: what Redis wrote, what we write, and what neither may load."""

import random
import socket
from pathlib import Path

import pytest
from attrs import evolve

from clustrio.gossip.messages import NO_SLOTS, NodeFlag, slots_text
from clustrio.gossip.nodes_conf import (
    Damage,
    NodesConfError,
    StoredCluster,
    StoredNode,
    Style,
    decode_nodes_conf,
    encode_nodes_conf,
    flags_text,
)

from ..support.servers import client_of, start_redis

DATA = Path(__file__).parent.parent / "data" / "wire"
A, B, C, SHARD = ("a" * 40, "0123456789" * 4, "f0" * 20, "5" * 40)
SEED = 20_070_302


def bitmap(*ranges: tuple[int, int]) -> bytes:
    slots = 0
    for first, last in ranges:
        slots |= (1 << last + 1) - (1 << first)
    return slots.to_bytes(2048, "little")


PRIMARY = StoredNode(
    A,
    "127.0.0.1",
    7001,
    17001,
    NodeFlag.MYSELF | NodeFlag.PRIMARY,
    config_epoch=7,
    is_connected=True,
    slots=bitmap((0, 0), (5, 100), (16383, 16383)),
    hostname="me.example.com",
    human_nodename="left/1",
    shard_id=SHARD,
    pport=7003,
)
REPLICA = StoredNode(
    B,
    "fe80::1",
    7002,
    17002,
    NodeFlag.REPLICA | NodeFlag.NOFAILOVER | NodeFlag.PFAIL,
    replica_of=A,
    ping_sent_ms=1_700_000_000_123,
    pong_received_ms=1_700_000_000_456,
    config_epoch=7,
    shard_id=SHARD,
    other_aux=(("availability-zone", "eu_1"),),
)
LOST = StoredNode(C, "", 0, 0, NodeFlag.PRIMARY | NodeFlag.FAIL | NodeFlag.NOADDR)
CLUSTER = StoredCluster(
    (REPLICA, PRIMARY, LOST),
    current_epoch=9,
    last_vote_epoch=8,
    migrating_to=((5, C), (6, C)),
    importing_from=((200, C),),
)
LINE = f"{A} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-100"
VARS = "vars currentEpoch 6 lastVoteEpoch 5"


def text_of(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


# ---- what Redis wrote ---------------------------------------------------------------------------


def test_the_file_of_a_redis_node_during_a_migration_with_a_failed_peer() -> None:
    cluster = decode_nodes_conf((DATA / "nodes-7.0-failed.conf").read_bytes())
    failed, heir, _myself, other = cluster.nodes
    assert (cluster.current_epoch, cluster.last_vote_epoch) == (5, 5)
    assert cluster.migrating_to == ((5461, other.node_id),)
    assert cluster.importing_from == ((0, failed.node_id),)
    assert cluster.myself.node_id == "ed8aa92570811c7a71c536ca79cf53d97624fa9a"
    assert cluster.myself.hostname == "node-1.example.com"
    assert slots_text(cluster.myself.slots) == "5461-10922"
    assert failed == StoredNode(
        "fefc8d440d3f232e4bef560ae926170728279d3f",
        "127.0.0.1",
        21703,
        41703,
        NodeFlag.PRIMARY | NodeFlag.FAIL,
        ping_sent_ms=1795254363731,
        pong_received_ms=1795254363000,
        config_epoch=4,
        slots=bitmap((0, 0)),
    )
    assert (heir.config_epoch, heir.is_connected, slots_text(heir.slots)) == (5, True, "1-5460")


@pytest.mark.parametrize("name", ["nodes-7.0-failed.conf", "nodes-7.0-hostnames.conf"])
def test_a_file_of_redis_7_0_is_written_back_byte_for_byte(name: str) -> None:
    text = (DATA / name).read_bytes()
    # Redis lists the moves of one node by slot, as we do.
    assert encode_nodes_conf(decode_nodes_conf(text)) == text


def test_a_file_in_the_form_of_redis_7_2() -> None:
    text = text_of(
        f"{A} 127.0.0.1:7001@17001,,tls-port=0,shard-id={SHARD} myself,master - 0 0 1 connected 0",
        f"{B} 127.0.0.1:7002@17002,h.example,tls-port=7012,nodename=left,shard-id={SHARD}"
        f" slave {A} 0 5 1 disconnected",
        VARS,
    )
    cluster = decode_nodes_conf(text)
    myself, replica = cluster.nodes
    assert (myself.hostname, myself.shard_id, myself.pport) == ("", SHARD, 0)
    assert (replica.hostname, replica.human_nodename) == ("h.example", "left")
    assert (replica.shard_id, replica.pport) == (SHARD, 7012)
    assert encode_nodes_conf(cluster, Style.REDIS_7_2) == text


# ---- what we write ------------------------------------------------------------------------------


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("tls_cluster", [False, True])
def test_what_we_write_is_read_back_equal(style: Style, tls_cluster: bool) -> None:
    text = encode_nodes_conf(CLUSTER, style, tls_cluster=tls_cluster)
    assert decode_nodes_conf(text) == CLUSTER


def test_the_portable_form_keeps_the_lines_of_7_0() -> None:
    assert encode_nodes_conf(CLUSTER).decode().splitlines() == [
        f"{B} fe80::1:7002@17002 slave,fail?,nofailover {A} 1700000000123 1700000000456 7"
        " disconnected",
        f"{A} 127.0.0.1:7001@17001,me.example.com myself,master - 0 0 7 connected 0 5-100 16383"
        f" [5->-{C}] [6->-{C}] [200-<-{C}]",
        f"{C} :0@0 master,fail,noaddr - 0 0 0 disconnected",
        f"vars shard-id:{B} {SHARD}",
        f"vars availability-zone:{B} eu_1",
        f"vars tls-port:{A} 7003",
        f"vars nodename:{A} left/1",
        f"vars shard-id:{A} {SHARD}",
        "vars currentEpoch 9 lastVoteEpoch 8",
    ]


def test_nodes_in_handshake_are_left_out() -> None:
    stranger = StoredNode("e" * 40, "1.2.3.4", 1, 2, NodeFlag.HANDSHAKE, shard_id=SHARD)
    with_stranger = evolve(CLUSTER, nodes=(stranger, *CLUSTER.nodes))
    assert encode_nodes_conf(with_stranger) == encode_nodes_conf(CLUSTER)
    line = f"{'e' * 40} 1.2.3.4:1@2 handshake - 0 0 0 disconnected"
    assert len(decode_nodes_conf(text_of(line, LINE, VARS)).nodes) == 1


@pytest.mark.parametrize(
    "node",
    [
        evolve(PRIMARY, hostname="a,shard-id=b"),
        evolve(PRIMARY, hostname="a\nvars currentEpoch 0 lastVoteEpoch 0"),
        evolve(PRIMARY, human_nodename="two words"),
        evolve(PRIMARY, human_nodename="a=b"),
        evolve(PRIMARY, human_nodename="a\x00b"),
        evolve(PRIMARY, ip="1.2.3.4\n"),
        evolve(PRIMARY, shard_id="short"),
        evolve(PRIMARY, node_id=""),
        evolve(PRIMARY, replica_of="A" * 40),
        evolve(PRIMARY, other_aux=(("zone", "a b"),)),
    ],
)
@pytest.mark.parametrize("style", Style)
def test_nothing_can_break_a_line(node: StoredNode, style: Style) -> None:
    with pytest.raises(ValueError, match="cannot stand in"):
        encode_nodes_conf(evolve(CLUSTER, nodes=(node,)), style)


def test_flags_are_spelled_as_redis_does() -> None:
    assert flags_text(0xFFFF) == ("myself,master,slave,fail?,fail,handshake,noaddr,nofailover")
    assert flags_text(NodeFlag.MIGRATE_TO) == "noflags"


def test_random_clusters_survive() -> None:
    rng = random.Random(SEED)
    for _ in range(8):
        owners = [rng.choice((0, 1, 2)) for _ in range(16384)]
        nodes = tuple(
            evolve(
                node,
                slots=sum(1 << slot for slot in range(16384) if owners[slot] == index).to_bytes(
                    2048, "little"
                ),
                config_epoch=rng.randrange(1 << 63),
            )
            for index, node in enumerate(CLUSTER.nodes[: rng.choice((2, 3))])
        )
        cluster = evolve(CLUSTER, nodes=nodes, last_vote_epoch=rng.randrange(1 << 63))
        assert decode_nodes_conf(encode_nodes_conf(cluster)) == cluster


# ---- what is read leniently ---------------------------------------------------------------------


def test_empty_lines_and_foreign_variables_are_passed_over() -> None:
    text = text_of("", LINE, "vars futureThing 1", f"vars shard-id:{B} {SHARD}", VARS, "", "", "")
    assert decode_nodes_conf(text) == decode_nodes_conf(text_of(LINE, VARS))


def test_a_file_from_before_the_bus_port_was_written() -> None:
    cluster = decode_nodes_conf(text_of(LINE.replace("@17001", ""), VARS))
    assert cluster.myself.cport == 17001


# ---- what is damaged ----------------------------------------------------------------------------

SECOND = f"{B} 127.0.0.1:7002@17002 slave {A} 0 0 1 connected"
DAMAGED: dict[str, tuple[bytes, int, Damage]] = {
    "empty": (b"", 1, Damage.EMPTY),
    "only line ends": (b"\n\n\n", 1, Damage.EMPTY),
    "zeros": (bytes(100) + b"\n", 1, Damage.TOO_FEW_FIELDS),
    "not ascii": (text_of(LINE) + b"\xff\n", 2, Damage.NOT_ASCII),
    "vars cut off": (text_of(LINE, VARS)[:-1], 2, Damage.NO_FINAL_NEWLINE),
    "vote's last digit cut off": (text_of(LINE, VARS + "5")[:-2], 2, Damage.NO_FINAL_NEWLINE),
    "vars lost": (text_of(LINE, SECOND), 2, Damage.NO_VARS),
    "vote lost": (text_of(LINE, "vars currentEpoch 6"), 2, Damage.NO_VARS),
    "odd vars": (text_of(LINE, "vars currentEpoch 6 lastVoteEpoch"), 2, Damage.BAD_VARS),
    "vars twice": (text_of(LINE, VARS, VARS), 3, Damage.VARS_TWICE),
    "epoch of letters": (text_of(LINE, VARS.replace("6", "six")), 2, Damage.BAD_NUMBER),
    "epoch too large": (text_of(LINE, VARS.replace("6", str(1 << 63))), 2, Damage.BAD_NUMBER),
    "epoch of many digits": (text_of(LINE, VARS.replace("6", "1" * 5000)), 2, Damage.BAD_NUMBER),
    "variable's shard": (text_of(LINE, f"vars shard-id:{A} x", VARS), 2, Damage.BAD_NODE_ID),
    "variable's name": (text_of(LINE, f"vars nodename:{A} a,b", VARS), 2, Damage.BAD_AUX),
    "no myself": (text_of(LINE.replace("myself,", ""), VARS), 2, Damage.NO_MYSELF),
    "two myselfs": (
        text_of(LINE, SECOND.replace("slave", "myself,slave"), VARS),
        2,
        Damage.MYSELF_TWICE,
    ),
    "node twice": (text_of(SECOND, LINE, SECOND, VARS), 3, Damage.NODE_TWICE),
    "slot twice": (text_of(LINE, SECOND + " 100", VARS), 2, Damage.SLOT_TWICE),
}
BAD_LINES: dict[str, tuple[str, str, Damage]] = {
    "seven fields": ("connected 0-100", "", Damage.TOO_FEW_FIELDS),
    "id": (A, A[:-1], Damage.BAD_NODE_ID),
    "id in capitals": (A, A.upper(), Damage.BAD_NODE_ID),
    "primary": (" - ", " nobody ", Damage.BAD_NODE_ID),
    "no port": ("127.0.0.1:7001@17001", "localhost", Damage.BAD_ADDRESS),
    "address": ("127.0.0.1", "127.0.0.1;", Damage.BAD_ADDRESS),
    "long address": ("127.0.0.1", "1" * 46, Damage.BAD_ADDRESS),
    "port": ("7001@", "70011@", Damage.BAD_NUMBER),
    "signed port": ("7001@", "+7001@", Damage.BAD_NUMBER),
    "bus port": ("@17001", "@", Damage.BAD_NUMBER),
    "host name": ("17001 ", "17001,a_b ", Damage.BAD_HOSTNAME),
    "aux without value": ("17001 ", "17001,,shard-id ", Damage.BAD_AUX),
    "aux with two values": ("17001 ", "17001,,nodename=a=b ", Damage.BAD_AUX),
    "aux with a control byte": ("17001 ", "17001,,nodename=a\x01b ", Damage.BAD_AUX),
    "aux without name": ("17001 ", "17001,,=b ", Damage.BAD_AUX),
    "aux shard": ("17001 ", "17001,,shard-id=zz ", Damage.BAD_NODE_ID),
    "aux port": ("17001 ", "17001,,tls-port=99999 ", Damage.BAD_NUMBER),
    "unknown flag": ("myself,master", "myself,boss", Damage.BAD_FLAGS),
    "two roles": ("myself,master", "myself,master,slave", Damage.BAD_FLAGS),
    "myself in handshake": ("myself,master", "myself,handshake", Damage.BAD_FLAGS),
    "ping": (" 0 0 1 ", " -1 0 1 ", Damage.BAD_NUMBER),
    "pong": (" 0 0 1 ", " 0 1_0 1 ", Damage.BAD_NUMBER),
    "epoch": (" 0 0 1 ", " 0 0 1.5 ", Damage.BAD_NUMBER),
    "link": ("connected", "maybe", Damage.BAD_LINK_STATE),
    "slot": ("0-100", "16384", Damage.BAD_SLOTS),
    "slot range": ("0-100", "0-16384", Damage.BAD_SLOTS),
    "slots backwards": ("0-100", "100-0", Damage.BAD_SLOTS),
    "slot word": ("0-100", "all", Damage.BAD_SLOTS),
    "move of no slot": ("0-100", f"[16384->-{A}]", Damage.BAD_SLOTS),
    "move to nobody": ("0-100", "[5->-x]", Damage.BAD_SLOTS),
    "half a move": ("0-100", f"[5->-{A}", Damage.BAD_SLOTS),
    "move without a way": ("0-100", f"[5-{A}]", Damage.BAD_SLOTS),
}
DAMAGED |= {
    f"line with a bad {name}": (text_of(SECOND, LINE.replace(old, new), VARS), 2, reason)
    for name, (old, new, reason) in BAD_LINES.items()
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_with_its_line(name: str) -> None:
    text, line_number, reason = DAMAGED[name]
    with pytest.raises(NodesConfError) as caught:
        decode_nodes_conf(text)
    assert (caught.value.reason, caught.value.line_number) == (reason, line_number)
    assert f"line {line_number}: {reason.value}" in str(caught.value)


def test_every_damage_is_reached() -> None:
    assert {reason for _, _, reason in DAMAGED.values()} == set(Damage)


def test_every_cut_is_noticed() -> None:
    text = encode_nodes_conf(CLUSTER)
    for size in range(len(text)):
        with pytest.raises(NodesConfError):
            decode_nodes_conf(text[:size])


def test_changed_bytes_are_damage_or_another_cluster() -> None:
    rng = random.Random(SEED)
    text = encode_nodes_conf(CLUSTER, Style.REDIS_7_2)
    damaged_count = 0
    for _ in range(2_000):
        changed = bytearray(text)
        for _ in range(rng.choice((1, 2, 5))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            cluster = decode_nodes_conf(bytes(changed))
        except NodesConfError:
            damaged_count += 1
        else:
            assert decode_nodes_conf(encode_nodes_conf(cluster)) == cluster
    assert 1_000 < damaged_count < 2_000


# ---- the real server ----------------------------------------------------------------------------


@pytest.mark.redis_server
@pytest.mark.slow
def test_redis_loads_what_we_write_and_we_read_what_it_wrote(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        # A port that is taken and never answers: the server finds no peer there.
        port = nobody.getsockname()[1]
        replica = evolve(REPLICA, ip="127.0.0.1", cport=port, flags=NodeFlag.REPLICA)
        cluster = evolve(CLUSTER, nodes=(replica, PRIMARY, LOST))
        path = tmp_path / "nodes.conf"
        path.write_bytes(encode_nodes_conf(cluster))
        with (
            start_redis("--cluster-enabled", "yes", "--cluster-config-file", str(path)) as server,
            client_of(server) as client,
        ):
            assert client.call("CLUSTER", "MYID").text == A.encode()
            assert client.call("CLUSTER", "SAVECONFIG").text == b"OK"
            written = decode_nodes_conf(path.read_bytes())
    assert (written.current_epoch, written.last_vote_epoch) == (9, 8)
    assert written.migrating_to == cluster.migrating_to
    assert written.importing_from == cluster.importing_from
    read = {node.node_id: node for node in written.nodes}
    assert read.keys() == {A, B, C}
    for expected in cluster.nodes:
        node = read[expected.node_id]
        assert node.flags == expected.flags
        assert node.replica_of == expected.replica_of
        assert node.slots == expected.slots
        assert node.config_epoch == expected.config_epoch
    assert read[B].ip == "127.0.0.1"
    assert (read[C].ip, read[C].port, read[C].slots) == ("", 0, NO_SLOTS)
