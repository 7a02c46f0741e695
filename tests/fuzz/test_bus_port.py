"""Broken, forged and half-sent packets at the bus port: the cluster goes on as if nothing was.

    python -m pytest tests/fuzz/test_bus_port.py --fuzz-inputs 100000 --seed 7

Whoever can reach the bus port and knows an id may speak in that node's name: so it is in Redis, and
a forged claim with a greater epoch is a claim. What is sent here under a known name therefore keeps
the epochs of that node; absurd epochs have a test of their own.
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

import pytest

from clustrio.gossip import limits
from clustrio.gossip.messages import (
    NO_SLOTS,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    GossipEntry,
    Header,
    Hostname,
    HumanNodename,
    Ignored,
    Meet,
    Message,
    MfStart,
    NodeFlag,
    Ping,
    Pong,
    Publish,
    ShardId,
    Update,
)
from clustrio.gossip.state import bitmap_of
from clustrio.gossip.wire import encode
from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    slot_shares,
    wait_until,
)

from ..gossip.test_wire_fuzz import mutated

pytestmark = pytest.mark.slow

TIMEOUT_MS: Final = 2000
#: Few, since a broken frame ends its link, and what comes behind it is lost.
BATCH_PACKETS: Final = 10
#: How many packets are sent as they are.
WHOLE_SHARE: Final = 0.15
GROWTH_BYTES_MAX: Final = 64 * 1024 * 1024
EPOCHS: Final = slice(16, 32)
HEADER_IP: Final = slice(2168, 2214)
UPDATE_EPOCH: Final = slice(2256, 2264)
TYPE: Final = slice(12, 14)


@pytest.fixture(scope="module")
def shared_nodes() -> Iterator[list[ClusterNode]]:
    with running(clustrio=3, timeout_ms=TIMEOUT_MS) as started:
        form(started)
        yield started


@pytest.fixture
def nodes(shared_nodes: list[ClusterNode]) -> list[ClusterNode]:
    settle(shared_nodes)
    return shared_nodes


def settle(nodes: Sequence[ClusterNode]) -> None:
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)


def header_of(node: ClusterNode, index: int) -> Header:
    """The header that a node of the cluster would send now."""
    first, last = slot_shares(3)[index]
    info = node.info()
    return Header(
        node.node_id,
        int(info["cluster_current_epoch"]),
        int(info["cluster_my_epoch"]),
        0,
        node.port,
        node.port + limits.BUS_PORT_OFFSET,
        NodeFlag.PRIMARY,
        slots=bitmap_of(((1 << (last - first + 1)) - 1) << first),
    )


def stranger_header(random: Random) -> Header:
    """A header of somebody whom nobody knows; its ports lead nowhere."""
    return Header(f"{random.getrandbits(160):040x}", 5, 4, 77, 1, 2, NodeFlag.PRIMARY)


def corpus(header: Header, other_id: str, random: Random) -> list[bytes]:
    """One packet of each type in this name."""
    stranger_id = f"{random.getrandbits(160):040x}"
    # Gossip of a member about a node unknown so far adds that node, in Redis too.
    gossip = (GossipEntry(other_id, 0, 1, "127.0.0.1", 1, 2, NodeFlag.PRIMARY),) * 2
    extensions = (Hostname("x.example"), HumanNodename("x"), ShardId(header.sender))
    messages: list[Message] = [
        Ping(header, gossip),
        Ping(header, gossip, extensions),
        Pong(header, gossip, extensions),
        Meet(header, gossip[:1]),
        Fail(header, stranger_id),
        Fail(header, other_id),
        Publish(header, b"news", b"x" * 50),
        Publish(None, b"news", b"x" * 50),
        FailoverAuthRequest(header),
        FailoverAuthAck(header),
        Update(header, 1, other_id, NO_SLOTS),
        MfStart(header),
        Ignored(header, 9, bytes(8) + (5).to_bytes(4, "big") + b"\0hello"),
        Ignored(header, 4711, b"?"),
    ]
    return [encode(message) for message in messages]


def broken(frame: bytes, random: Random) -> bytes:
    """A packet with changed bytes, but for what would be a true order in a known name.

    The ids and addresses of gossip stay as well: a member's word adds a node, for good, and a test
    must not make nodes connect to somewhere in the world.
    """
    if random.random() < WHOLE_SHARE:
        return frame
    changed = bytearray(mutated(frame, random))
    kept = [EPOCHS, HEADER_IP]
    if frame[TYPE] == b"\0\x07" or changed[TYPE] == b"\0\x07":
        kept.append(UPDATE_EPOCH)
    if int.from_bytes(frame[TYPE], "big") <= 2:
        count = int.from_bytes(frame[14:16], "big")
        starts = [limits.HEADER_BYTES + limits.GOSSIP_ENTRY_BYTES * n for n in range(count)]
        kept += [slice(start, start + 40) for start in starts]
        kept += [slice(start + 48, start + 94) for start in starts]
    for part in kept:
        if part.stop <= min(len(changed), len(frame)):
            changed[part] = frame[part]
    return bytes(changed)


def connect(node: ClusterNode) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port + limits.BUS_PORT_OFFSET), 5)


def send_batch(node: ClusterNode, packets: Sequence[bytes]) -> None:
    """Send packets over one link, until the node has enough, and hear what it says."""
    with contextlib.suppress(OSError), connect(node) as link:
        for packet in packets:
            link.sendall(packet)
        link.shutdown(socket.SHUT_WR)
        while link.recv(65_536):
            pass


def not_let_in(victim: ClusterNode, others: Sequence[ClusterNode]) -> str:
    """Which nodes have no link of their own to the victim."""
    links = victim.items("CLUSTER", "LINKS")
    let_in = {link[3] for link in links if isinstance(link, list) and link[1] == b"from"}
    return ", ".join(str(node.port) for node in others if node.node_id.encode() not in let_in)


def bombard(victim: ClusterNode, frames: Sequence[bytes], count: int, random: Random) -> None:
    first_rss_bytes = victim.rss_bytes()
    understood_before = received_count(victim)
    left = count
    while left > 0:
        size = min(left, random.randint(1, BATCH_PACKETS))
        send_batch(victim, [broken(random.choice(frames), random) for _ in range(size)])
        left -= size
        assert victim.is_running(), victim.log()[-3000:]
    assert victim.rss_bytes() - first_rss_bytes < GROWTH_BYTES_MAX
    # Most never get beyond the parser; enough must, or this tests the parser alone.
    assert received_count(victim) - understood_before > count // 6


def received_count(node: ClusterNode) -> int:
    return int(node.info()["cluster_stats_messages_received"])


def assert_unharmed(nodes: Sequence[ClusterNode], epoch: str) -> None:
    """Still one cluster of the same three, with the same epoch, and nothing odd in the logs."""
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    wait_until("one view again", lambda: disagreement(nodes, 3), nodes)
    for node in nodes:
        assert node.info()["cluster_current_epoch"] == epoch
        assert "Traceback" not in node.log(), node.log()[-3000:]


def test_packets_of_strangers_do_nothing(
    nodes: list[ClusterNode], seed: int, pytestconfig: pytest.Config
) -> None:
    random = Random(f"strangers {seed}")
    epoch = nodes[2].info()["cluster_current_epoch"]
    header = stranger_header(random)
    frames = corpus(header, nodes[1].node_id, random)
    bombard(nodes[2], frames, pytestconfig.option.fuzz_inputs // 2, random)
    # A MEET of a stranger starts a handshake, which fails.
    assert_unharmed(nodes, epoch)


def test_packets_under_a_known_name_do_no_lasting_harm(
    nodes: list[ClusterNode], seed: int, pytestconfig: pytest.Config
) -> None:
    random = Random(f"known name {seed}")
    epoch = nodes[2].info()["cluster_current_epoch"]
    # The name with the smallest epoch: what it claims of the others' slots is void.
    frames = corpus(header_of(nodes[0], 0), nodes[1].node_id, random)
    bombard(nodes[2], frames, pytestconfig.option.fuzz_inputs // 2, random)
    assert_unharmed(nodes, epoch)


@pytest.mark.parametrize("epoch", [(1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_absurd_epochs_under_a_known_name_are_not_believed(
    nodes: list[ClusterNode], epoch: int
) -> None:
    before = nodes[2].info()["cluster_current_epoch"]
    header = header_of(nodes[0], 0)
    raw_epoch = epoch.to_bytes(8, "big")
    packets = []
    for message in (
        Ping(header),
        Pong(header),
        FailoverAuthRequest(header),
        Fail(header, "a" * 40),
    ):
        frame = encode(message)
        packets += [frame[:16] + raw_epoch + frame[24:], frame[:24] + raw_epoch + frame[32:]]
    update = encode(Update(header, 1, nodes[1].node_id, NO_SLOTS))
    packets.append(update[: UPDATE_EPOCH.start] + raw_epoch + update[UPDATE_EPOCH.stop :])
    for packet in packets:
        send_batch(nodes[2], [packet])
    assert_unharmed(nodes, before)


def test_idle_and_slow_strangers_keep_no_member_out(nodes: list[ClusterNode], seed: int) -> None:
    random = Random(f"idle {seed}")
    victim, epoch = nodes[2], nodes[2].info()["cluster_current_epoch"]
    first_rss_bytes = victim.rss_bytes()
    begun = encode(Ping(stranger_header(random)))
    with contextlib.ExitStack() as stack:
        for number in range(400):
            link = stack.enter_context(connect(victim))
            # Nothing at all, a part of a prefix, a header that never ends.
            with contextlib.suppress(OSError):
                link.sendall(begun[: (0, 6, 16, 2000)[number % 4]])
        # Members that lost their links must get in beside all these.
        for node in nodes[:2]:
            node.kill()
            node.start_again()
        wait_until("members are in", lambda: not_let_in(victim, nodes[:2]), nodes)
        settle(nodes)
        with contextlib.suppress(OSError):
            for byte in begun[2000:2100]:
                link.sendall(bytes([byte]))
        assert_unharmed(nodes, epoch)
        assert victim.rss_bytes() - first_rss_bytes < GROWTH_BYTES_MAX
    assert_unharmed(nodes, epoch)


def test_a_stranger_who_asks_and_does_not_listen_is_cut_off(
    nodes: list[ClusterNode], seed: int
) -> None:
    victim, ping = nodes[2], encode(Ping(stranger_header(Random(f"deaf {seed}"))))
    first_rss_bytes = victim.rss_bytes()
    sent_bytes = 0
    with connect(victim) as link, contextlib.suppress(ConnectionError):
        while sent_bytes < GROWTH_BYTES_MAX:
            link.sendall(ping * 100)
            sent_bytes += len(ping) * 100
    assert sent_bytes < GROWTH_BYTES_MAX, "nobody cut us off"
    assert victim.rss_bytes() - first_rss_bytes < GROWTH_BYTES_MAX
    settle(nodes)


def test_an_absurd_length_is_refused_at_once(nodes: list[ClusterNode], seed: int) -> None:
    frame = encode(Ping(stranger_header(Random(f"length {seed}"))))
    for length in (0, 15, 1 << 20, (1 << 32) - 1):
        with connect(nodes[2]) as link:
            link.sendall(frame[:4] + length.to_bytes(4, "big") + frame[8:16])
            assert link.recv(1) == b"", length
