"""Each CLUSTER subcommand, and each redirection, answered as redis-server answers it.

Two clusters of one shape, a redis-server for each of our nodes, are asked the same in RESP2 and in
RESP3. Replies are compared with their types on the wire; ids, ports, times and counters that cannot
be equal are named or left out first. Order is left out where it is that of a hash table.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import ClusterNode, form, running, wait_until

from ..support.raw import RawClient, Reply

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

#: A primary with a replica, and a primary without; in this order in both clusters.
FIRST, SECOND, REPLICA = range(3)
UNKNOWN: Final = "f" * 40
Request = tuple[str, ...]

IN_FIRST, IN_FIRST_TOO, IN_SECOND = "key:0", "{key:0}:b", "key:2"
OPEN, OPEN_TOO = "{open}", "{open}:b"  # in the second half of the slots


class Side:
    """One of the two clusters."""

    def __init__(self, nodes: Sequence[ClusterNode]) -> None:
        self.nodes = nodes
        self.names: dict[bytes, bytes] = {}
        for index, node in enumerate(nodes):
            self.names[node.node_id.encode()] = b"id%d" % index
            self.names[b"%d" % node.port] = b"port%d" % index
            self.names[b"%d" % (node.port + 10_000)] = b"cport%d" % index
        self._numbers = {int(name): what for name, what in self.names.items() if name.isdigit()}
        longest_first: list[bytes] = sorted(self.names, key=len, reverse=True)
        self._known = re.compile(rb"(?<![0-9a-f])(" + b"|".join(longest_first) + rb")(?![0-9a-f])")

    def ask(self, index: int, protocol: int, *requests: Request) -> list[Reply]:
        """What a node says to these requests, made on one new connection; "id0" is an id."""
        node = self.nodes[index]
        words = {f"id{place}": node.node_id for place, node in enumerate(self.nodes)}
        with RawClient("127.0.0.1", node.port) as client:
            client.call(b"HELLO", b"%d" % protocol)
            return [
                self.named(client.call(*(words.get(word, word).encode() for word in request)))
                for request in requests
            ]

    def named(self, reply: Reply) -> Reply:
        """The reply with names in place of ids and ports."""
        value = reply.value
        if isinstance(value, tuple):
            return Reply(reply.kind, tuple(self.named(each) for each in value))
        if isinstance(value, bytes):
            return Reply(reply.kind, self._known.sub(lambda found: self.names[found[0]], value))
        if isinstance(value, int) and value in self._numbers:
            return Reply(b"port", self._numbers[value])
        return reply


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with running(clustrio=3, redis=3, timeout_ms=5_000) as nodes:
        found = []
        for kind in (nodes[:3], nodes[3:]):
            first, second, replica = kind
            form((first, second), ((replica, first),))
            for node, key in ((first, IN_FIRST), (first, IN_FIRST_TOO), (second, IN_SECOND)):
                node.call("SET", key, "value")
            found.append(Side(kind))
        yield found[0], found[1]


def agree(
    sides: tuple[Side, Side], index: int, protocol: int, *requests: Request
) -> tuple[list[Reply], list[Reply]]:
    ours, theirs = (side.ask(index, protocol, *requests) for side in sides)
    return ours, theirs


# ---- refusals and small answers ------------------------------------------------------------------

PLAIN: Final[tuple[Request, ...]] = (
    ("CLUSTER",),
    ("CLUSTER", "NONE"),
    ("CLUSTER", "MYID"),
    ("CLUSTER", "MYID", "more"),
    ("CLUSTER", "KEYSLOT", "{a}b"),
    ("CLUSTER", "KEYSLOT"),
    ("CLUSTER", "COUNTKEYSINSLOT", "2592"),
    ("CLUSTER", "COUNTKEYSINSLOT", "-1"),
    ("CLUSTER", "COUNTKEYSINSLOT", "16384"),
    ("CLUSTER", "COUNTKEYSINSLOT", "x"),
    ("CLUSTER", "GETKEYSINSLOT", "2592", "0"),
    ("CLUSTER", "GETKEYSINSLOT", "2592", "-1"),
    ("CLUSTER", "GETKEYSINSLOT", "2592", "x"),
    ("CLUSTER", "GETKEYSINSLOT", "16384", "1"),
    ("CLUSTER", "GETKEYSINSLOT", "1", "10"),
    ("CLUSTER", "ADDSLOTS"),
    ("CLUSTER", "ADDSLOTS", "0"),
    ("CLUSTER", "ADDSLOTS", "x"),
    ("CLUSTER", "ADDSLOTS", "16384"),
    ("CLUSTER", "ADDSLOTSRANGE", "1"),
    ("CLUSTER", "ADDSLOTSRANGE", "5", "1"),
    ("CLUSTER", "ADDSLOTSRANGE", "1", "2", "3"),
    ("CLUSTER", "ADDSLOTSRANGE", "1", "x"),
    ("CLUSTER", "ADDSLOTSRANGE", "1", "2"),
    ("CLUSTER", "DELSLOTS"),
    ("CLUSTER", "DELSLOTS", "x"),
    ("CLUSTER", "DELSLOTS", "1", "1"),
    ("CLUSTER", "DELSLOTSRANGE", "5", "1"),
    ("CLUSTER", "DELSLOTSRANGE", "5"),
    ("CLUSTER", "FLUSHSLOTS"),
    ("CLUSTER", "FLUSHSLOTS", "more"),
    ("CLUSTER", "SETSLOT", "0"),
    ("CLUSTER", "SETSLOT", "0", "NONE"),
    ("CLUSTER", "SETSLOT", "0", "MIGRATING"),
    ("CLUSTER", "SETSLOT", "0", "MIGRATING", UNKNOWN),
    ("CLUSTER", "SETSLOT", "0", "MIGRATING", "id1"),
    ("CLUSTER", "SETSLOT", "0", "STABLE"),
    ("CLUSTER", "SETSLOT", "0", "MIGRATING", "id2"),
    ("CLUSTER", "SETSLOT", "0", "IMPORTING", "id1"),
    ("CLUSTER", "SETSLOT", "0", "IMPORTING", UNKNOWN),
    ("CLUSTER", "SETSLOT", "9000", "IMPORTING", UNKNOWN),
    ("CLUSTER", "SETSLOT", "9000", "IMPORTING", "id2"),
    ("CLUSTER", "SETSLOT", "9000", "MIGRATING", "id0"),
    ("CLUSTER", "SETSLOT", "0", "NODE", UNKNOWN),
    ("CLUSTER", "SETSLOT", "0", "NODE", "id2"),
    ("CLUSTER", "SETSLOT", "2592", "NODE", "id1"),
    ("CLUSTER", "SETSLOT", "x", "STABLE"),
    ("CLUSTER", "SETSLOT", "16384", "STABLE"),
    ("CLUSTER", "SETSLOT", "0", "STABLE", "more"),
    ("CLUSTER", "REPLICATE"),
    ("CLUSTER", "REPLICATE", UNKNOWN),
    ("CLUSTER", "REPLICATE", "id0"),
    ("CLUSTER", "REPLICATE", "id2"),
    ("CLUSTER", "REPLICAS", UNKNOWN),
    ("CLUSTER", "REPLICAS", "id1"),
    ("CLUSTER", "REPLICAS", "id2"),
    ("CLUSTER", "SLAVES", "id1"),
    ("CLUSTER", "SLAVES", "id2"),
    ("CLUSTER", "FAILOVER", "NONE"),
    ("CLUSTER", "FAILOVER", "FORCE", "more"),
    ("CLUSTER", "FORGET", UNKNOWN),
    ("CLUSTER", "FORGET", "id0"),
    ("CLUSTER", "RESET", "NONE"),
    ("CLUSTER", "RESET", "SOFT", "more"),
    ("CLUSTER", "SET-CONFIG-EPOCH", "x"),
    ("CLUSTER", "SET-CONFIG-EPOCH", "-1"),
    ("CLUSTER", "SET-CONFIG-EPOCH", "5"),
    ("CLUSTER", "COUNT-FAILURE-REPORTS", UNKNOWN),
    ("CLUSTER", "COUNT-FAILURE-REPORTS", "id1"),
    ("CLUSTER", "SAVECONFIG"),
    ("CLUSTER", "MEET", "127.0.0.1"),
    ("CLUSTER", "MEET", "nowhere", "7000"),
    ("CLUSTER", "MEET", "127.0.0.1", "70000"),
    ("CLUSTER", "MEET", "127.0.0.1", "0"),
    ("ASKING",),
    ("ASKING", "more"),
    ("READONLY",),
    ("READONLY", "more"),
    ("READWRITE",),
    ("SELECT", "1"),
)
"""Nothing of this changes a node that has keys, but for the marks that it takes away again.

Left out: where 7.2, which is followed, words it otherwise than the 7.0 that is asked.
"""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("index", [FIRST, REPLICA], ids=["primary", "replica"])
def test_refusals_and_small_answers(sides: tuple[Side, Side], index: int, protocol: int) -> None:
    for request in PLAIN:
        ours, theirs = agree(sides, index, protocol, request)
        assert ours == theirs, request


@pytest.mark.parametrize("protocol", [2, 3])
def test_failover_of_a_primary_and_forgetting_ones_own(
    sides: tuple[Side, Side], protocol: int
) -> None:
    ours, theirs = agree(
        sides, FIRST, protocol, ("CLUSTER", "FAILOVER"), ("CLUSTER", "FAILOVER", "TAKEOVER")
    )
    assert ours == theirs
    ours, theirs = agree(sides, FIRST, protocol, ("CLUSTER", "REPLICATE", "id1"))
    assert ours == theirs
    ours, theirs = agree(sides, REPLICA, protocol, ("CLUSTER", "FORGET", "id0"))
    assert ours == theirs


@pytest.mark.parametrize("protocol", [2, 3])
def test_keys_in_a_slot(sides: tuple[Side, Side], protocol: int) -> None:
    [ours], [theirs] = agree(sides, FIRST, protocol, ("CLUSTER", "GETKEYSINSLOT", "2592", "10"))
    assert sorted(ours.items) == sorted(theirs.items) != []
    assert ours.kind == theirs.kind
    [ours], [theirs] = agree(sides, FIRST, protocol, ("CLUSTER", "GETKEYSINSLOT", "2592", "1"))
    assert len(ours.items) == len(theirs.items) == 1


@pytest.mark.parametrize("protocol", [2, 3])
def test_help_is_a_list_of_lines(sides: tuple[Side, Side], protocol: int) -> None:
    [ours], [theirs] = agree(sides, FIRST, protocol, ("CLUSTER", "HELP"))
    assert ours.kind == theirs.kind
    assert {line.kind for line in ours.items} == {line.kind for line in theirs.items}
    # Each subcommand that it has a line for has one here, too.
    heads = [
        {line.text.split(b" ")[0] for line in each.items if line.text[:1] != b" "}
        for each in (ours, theirs)
    ]
    assert heads[1] - heads[0] == set()


# ---- views ---------------------------------------------------------------------------------------


def without_times(line: bytes) -> bytes:
    """A line of CLUSTER NODES without when its node was pinged and answered."""
    words = line.split(b" ")
    return b" ".join([*words[:4], *words[6:]])


def rows_of(reply: Reply) -> list[bytes]:
    """The lines of a text, which in RESP3 is a verbatim one."""
    return reply.text.removeprefix(b"txt:" if reply.kind == b"=" else b"").splitlines()


def nodes_view(reply: Reply) -> object:
    return reply.kind, sorted(map(without_times, rows_of(reply)))


def replicas_view(reply: Reply) -> object:
    return reply.kind, sorted((each.kind, without_times(each.text)) for each in reply.items)


def in_any_order(reply: Reply) -> object:
    return reply.kind, sorted(map(repr, reply.items))


def fields_of(reply: Reply) -> dict[bytes, Reply]:
    """A map, or in RESP2 a list of names and values."""
    names, values = reply.items[::2], reply.items[1::2]
    return {name.text: value for name, value in zip(names, values, strict=True)}


def shards_view(reply: Reply) -> object:
    found = []
    for shard in reply.items:
        fields = fields_of(shard)
        members = []
        for member in fields[b"nodes"].items:
            facts = fields_of(member)
            kinds = [(name, value.kind) for name, value in facts.items()]
            facts.pop(b"replication-offset")
            members.append(repr((member.kind, kinds, facts)))
        found.append(repr((shard.kind, list(fields), fields[b"slots"], sorted(members))))
    return reply.kind, sorted(found)


def links_view(reply: Reply) -> object:
    found = []
    for link in reply.items:
        fields = fields_of(link)
        kinds = [(name, value.kind) for name, value in fields.items()]
        found.append(repr((link.kind, kinds, fields[b"direction"], fields[b"node"])))
    return reply.kind, sorted(found)


def info_view(reply: Reply) -> object:
    # Counters of messages come and go with what was sent; 7.0 knows no migrations of slots.
    left_out = (b"cluster_stats_messages_", b"cluster_slot_migration_")
    rows = [row for row in rows_of(reply) if not row.startswith(left_out)]
    return reply.kind, rows, b"cluster_stats_messages_ping_sent" in reply.text


VIEWS: Final = {
    "SLOTS": in_any_order,
    "SHARDS": shards_view,
    "NODES": nodes_view,
    "LINKS": links_view,
    "INFO": info_view,
    "REPLICAS id0": replicas_view,
    "SLAVES id0": replicas_view,
}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("index", [FIRST, SECOND, REPLICA], ids=["first", "second", "replica"])
@pytest.mark.parametrize("view", VIEWS)
def test_views(sides: tuple[Side, Side], view: str, index: int, protocol: int) -> None:
    assert_same_view(sides, view, index, protocol)


def assert_same_view(sides: tuple[Side, Side], view: str, index: int, protocol: int) -> None:
    def difference() -> str:
        [ours], [theirs] = agree(sides, index, protocol, ("CLUSTER", *view.split()))
        shown = VIEWS[view](ours), VIEWS[view](theirs)
        return "" if shown[0] == shown[1] else f"{shown[0]!r}\n{shown[1]!r}"

    # A link that was made anew a moment ago is missing for a moment.
    wait_until("the same is seen", difference)


# ---- where a request belongs ---------------------------------------------------------------------

ROUTED: Final[tuple[tuple[Request, ...], ...]] = (
    (("GET", IN_FIRST),),
    (("GET", IN_SECOND),),
    (("SET", IN_SECOND, "v"),),
    (("MGET", IN_FIRST, IN_FIRST_TOO),),
    (("MGET", IN_FIRST, IN_SECOND),),
    (("MGET", IN_SECOND, IN_FIRST),),
    (("READONLY",), ("GET", IN_FIRST), ("GET", IN_SECOND), ("SET", IN_FIRST, "v")),
    (("READONLY",), ("READWRITE",), ("GET", IN_FIRST)),
    (("ASKING",), ("GET", IN_SECOND), ("GET", IN_SECOND)),
    (("MULTI",), ("GET", IN_FIRST), ("GET", IN_SECOND), ("EXEC",)),
    (("MULTI",), ("GET", IN_FIRST), ("EXEC",)),
    (("MULTI",), ("GET", IN_SECOND), ("EXEC",), ("EXEC",)),
    (("EVAL", "return 1", "0"),),
    (("EVAL", "return 1", "1", IN_SECOND),),
    (("EVAL", "return 1", "2", IN_FIRST, IN_SECOND),),
    (("EVAL", "return redis.call('GET', KEYS[1])", "1", IN_FIRST),),
    (("EVAL", f"return redis.pcall('GET', '{IN_SECOND}')", "1", IN_FIRST),),
    (("SPUBLISH", IN_FIRST, "m"),),
    (("SPUBLISH", IN_SECOND, "m"),),
    (("SSUBSCRIBE", IN_SECOND),),
    (("SSUBSCRIBE", IN_FIRST, IN_SECOND),),
    (("PUBLISH", IN_SECOND, "m"),),
    (("DBSIZE",), ("PING",), ("SCAN", "0", "MATCH", "none")),
    (("WATCH", IN_SECOND),),
    (("RENAME", IN_FIRST, IN_SECOND),),
    (("RENAME", IN_FIRST, IN_FIRST_TOO),),
    (("MIGRATE", "127.0.0.1", "1", "", "0", "10", "KEYS", IN_FIRST, IN_SECOND),),
)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("index", [FIRST, SECOND, REPLICA], ids=["first", "second", "replica"])
def test_redirections(sides: tuple[Side, Side], index: int, protocol: int) -> None:
    for requests in ROUTED:
        ours, theirs = agree(sides, index, protocol, *requests)
        assert ours == theirs, requests


@pytest.mark.parametrize("protocol", [2, 3])
def test_an_open_slot(sides: tuple[Side, Side], protocol: int) -> None:
    """From the second primary to the first: one key is there still, the other one not any more."""
    slot = str(key_slot(OPEN.encode()))
    talks: tuple[tuple[int, tuple[Request, ...]], ...] = (
        (SECOND, (("SET", OPEN, "v"), ("CLUSTER", "SETSLOT", slot, "MIGRATING", "id0"))),
        (FIRST, (("CLUSTER", "SETSLOT", slot, "IMPORTING", "id1"),)),
        (
            SECOND,
            (("GET", OPEN), ("GET", OPEN_TOO), ("MGET", OPEN, OPEN_TOO), ("SET", OPEN_TOO, "v")),
        ),
        (SECOND, (("MULTI",), ("GET", OPEN), ("GET", OPEN_TOO), ("EXEC",))),
        (SECOND, (("EVAL", "return redis.call('GET', KEYS[1])", "1", OPEN_TOO),)),
        (FIRST, (("GET", OPEN), ("ASKING",), ("GET", OPEN), ("ASKING",), ("MGET", OPEN, OPEN_TOO))),
        (
            FIRST,
            (
                ("ASKING",),
                ("SET", OPEN_TOO, "w"),
                ("ASKING",),
                ("GET", OPEN_TOO),
                ("GET", OPEN_TOO),
            ),
        ),
        (FIRST, (("ASKING",), ("MULTI",), ("GET", OPEN_TOO), ("EXEC",))),
        (REPLICA, (("READONLY",), ("GET", OPEN_TOO), ("ASKING",), ("GET", OPEN_TOO))),
        (
            SECOND,
            (("CLUSTER", "SETSLOT", slot, "NODE", "id0"), ("CLUSTER", "COUNTKEYSINSLOT", slot)),
        ),
        (FIRST, (("ASKING",), ("DEL", OPEN_TOO), ("CLUSTER", "SETSLOT", slot, "STABLE"))),
        (SECOND, (("CLUSTER", "SETSLOT", slot, "STABLE"), ("DEL", OPEN), ("GET", OPEN))),
    )
    for index, requests in talks:
        ours, theirs = agree(sides, index, protocol, *requests)
        assert ours == theirs, requests


def assert_same_in_time(
    sides: tuple[Side, Side], index: int, protocol: int, request: Request
) -> None:
    """For what nodes hear of by gossip, on either side when its time comes."""

    def difference() -> str:
        ours, theirs = agree(sides, index, protocol, request)
        return "" if ours == theirs else f"{ours!r}\n{theirs!r}"

    wait_until("the same is answered", difference)


# ---- host names, and a cluster that is not whole -------------------------------------------------


def configure(side: Side, **directives: str) -> None:
    for node in side.nodes:
        for name, value in directives.items():
            node.call("CONFIG", "SET", name.replace("_", "-"), value)


@pytest.mark.parametrize("endpoint", ["hostname", "unknown-endpoint", "ip"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_preferred_endpoints(sides: tuple[Side, Side], endpoint: str, protocol: int) -> None:
    for side in sides:
        configure(side, cluster_preferred_endpoint_type=endpoint)
        side.nodes[FIRST].call("CONFIG", "SET", "cluster-announce-hostname", "first.example")
    try:
        for view in ("SLOTS", "SHARDS", "NODES", "REPLICAS id0"):
            for index in (FIRST, SECOND, REPLICA):
                assert_same_view(sides, view, index, protocol)
        for index, key in ((SECOND, IN_FIRST), (FIRST, IN_SECOND), (REPLICA, IN_FIRST)):
            assert_same_in_time(sides, index, protocol, ("GET", key))
    finally:
        for side in sides:
            configure(side, cluster_preferred_endpoint_type="ip", cluster_announce_hostname="")


HALF: Final = {IN_FIRST: "its own", IN_SECOND: "nobody's"}
ASKED_OF_HALF: Final[tuple[Request, ...]] = (
    *((("GET", key)) for key in HALF),
    *((("SET", key, "v")) for key in HALF),
    ("MGET", IN_FIRST, IN_FIRST_TOO),
    ("MGET", IN_FIRST, IN_SECOND),
    ("EVAL", "return 1", "0"),
    ("EVAL", "return redis.call('GET', KEYS[1])", "1", IN_FIRST),
    ("SPUBLISH", IN_FIRST, "m"),
    ("SSUBSCRIBE", IN_SECOND),
    ("PUBLISH", IN_FIRST, "m"),
    ("DBSIZE",),
    ("CLUSTER", "INFO"),
    ("CLUSTER", "SLOTS"),
    ("CLUSTER", "COUNTKEYSINSLOT", "0"),
)


@pytest.fixture(scope="module")
def halves() -> Iterator[tuple[Side, Side]]:
    """Two nodes alone, with half of the slots each: the cluster is down in their eyes."""
    with running(clustrio=1, redis=1) as (ours, theirs):
        for node in (ours, theirs):
            node.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        yield Side([ours]), Side([theirs])


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("pubsub", ["yes", "no"])
@pytest.mark.parametrize("reads", ["yes", "no"])
@pytest.mark.parametrize("coverage", ["yes", "no"])
def test_a_cluster_that_is_not_whole(
    halves: tuple[Side, Side], coverage: str, reads: str, pubsub: str, protocol: int
) -> None:
    for side in halves:
        configure(
            side,
            cluster_require_full_coverage=coverage,
            cluster_allow_reads_when_down=reads,
            cluster_allow_pubsubshard_when_down=pubsub,
        )
    is_whole = coverage == "no"
    wait_until(
        "the directive is obeyed",
        lambda: "".join(
            node.name for side in halves for node in side.nodes if node.is_ok() is not is_whole
        ),
    )
    for request in ASKED_OF_HALF:
        [ours], [theirs] = agree(halves, FIRST, protocol, request)
        if request == ("CLUSTER", "INFO"):
            assert info_view(ours) == info_view(theirs)
        else:
            assert ours == theirs, request
