"""Positions: adding, distances, searches in both grammars, storing what was found."""

import pytest

from ..harness import Failure, MemoryNode, Plain

NOT_A_FLOAT = Failure("ERR value is not a valid float")
SYNTAX = Failure("ERR syntax error")
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
BAD_UNIT = Failure("ERR unsupported unit provided. please use M, KM, FT, MI")
NO_MEMBER = Failure("ERR could not decode requested zset member")
PALERMO, CATANIA = b"3479099956230698", b"3479447370796909"


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("GEOADD", "g", "13.361389", "38.115556", "p", "15.087269", "37.502669", "c")
    node.call("SET", "s", "text")
    node.take_batches()
    return node


def invalid(pair: str) -> Failure:
    return Failure(f"ERR invalid longitude,latitude pair {pair}")


REPLIES: list[tuple[str, Plain]] = [
    ("GEOADD g 1 1 x", 1),
    ("GEOADD g NX 1 1 p", 0),
    ("GEOADD g XX CH 1 1 p 2 2 y", 1),
    ("GEOADD g CH 1 1 p 2 2 y", 2),
    ("GEOADD g NX XX 1 1 p", SYNTAX),
    ("GEOADD g 1 1", Failure("ERR wrong number of arguments for 'geoadd' command")),
    ("GEOADD g 1 1 p 2", SYNTAX),
    ("GEOADD g NX CH NX", SYNTAX),
    ("GEOADD g x 1 p", NOT_A_FLOAT),
    ("GEOADD g 181 1 p", invalid("181.000000,1.000000")),
    ("GEOADD g 1 -85.1 p", invalid("1.000000,-85.100000")),
    ("GEOADD g inf 1 p", invalid("inf,1.000000")),
    ("GEOADD s 1 1 p", WRONG_TYPE),
    ("GEODIST g p c", b"166274.1516"),
    ("GEODIST g p c KM", b"166.2742"),
    ("GEODIST g p c mi", b"103.3182"),
    ("GEODIST g p x", None),
    ("GEODIST no p c", None),
    ("GEODIST g p c yards", BAD_UNIT),
    ("GEODIST g p c m m", SYNTAX),
    ("GEOHASH g p c x", [b"sqc8b49rny0", b"sqdtr74hyu0", None]),
    ("GEOHASH no p", [None]),
    ("GEOHASH g", []),
    ("GEOPOS g p x", [[b"13.36138933897018433", b"38.11555639549629859"], None]),
    ("GEOPOS no p", [None]),
    ("GEORADIUS g 15 37 200 km", [b"p", b"c"]),
    ("GEORADIUS g 15 37 200 km ASC", [b"c", b"p"]),
    ("GEORADIUS g 15 37 200 km desc", [b"p", b"c"]),
    ("GEORADIUS g 15 37 200 km COUNT 1", [b"c"]),
    ("GEORADIUS g 15 37 200 km COUNT 1 ANY", [b"p"]),
    ("GEORADIUS g 15 37 100 km WITHDIST", [[b"c", b"56.4413"]]),
    ("GEORADIUS g 15 37 100 km WITHHASH WITHDIST WITHCOORD", [
        [b"c", b"56.4413", int(CATANIA), [b"15.08726745843887329", b"37.50266842333162032"]]]),
    ("GEORADIUS g 15 37 1 m", []),
    ("GEORADIUS no 15 37 1 m", []),
    ("GEORADIUS g 15 37 -1 m", Failure("ERR radius cannot be negative")),
    ("GEORADIUS g 15 37 x m", Failure("ERR need numeric radius")),
    ("GEORADIUS g 15 37 1 x", BAD_UNIT),
    ("GEORADIUS g 15 97 1 m", invalid("15.000000,97.000000")),
    ("GEORADIUS g 15 37 1 m COUNT 0", Failure("ERR COUNT must be > 0")),
    ("GEORADIUS g 15 37 1 m ANY", Failure("ERR the ANY argument requires COUNT argument")),
    ("GEORADIUS g 15 37 1 m STORE d WITHDIST", Failure(
        "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD "
        "options")),
    ("GEORADIUS_RO g 15 37 200 km ASC", [b"c", b"p"]),
    ("GEORADIUS_RO g 15 37 200 km STORE d", SYNTAX),
    ("GEORADIUSBYMEMBER g p 100 km", [b"p"]),
    ("GEORADIUSBYMEMBER g p 200 km WITHDIST", [[b"p", b"0.0000"], [b"c", b"166.2742"]]),
    ("GEORADIUSBYMEMBER g x 100 km", NO_MEMBER),
    ("GEORADIUSBYMEMBER no x -1 z", []),
    ("GEORADIUSBYMEMBER s x 1 m", WRONG_TYPE),
    ("GEORADIUSBYMEMBER_RO g c 100 km", [b"c"]),
    ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC", [b"c", b"p"]),
    ("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km DESC", [b"p", b"c"]),
    ("GEOSEARCH g BYBOX 100 400 km FROMLONLAT 15 37 ", [b"c"]),
    ("GEOSEARCH g FROMMEMBER p BYRADIUS 100 km", [b"p"]),
    ("GEOSEARCH g FROMMEMBER x BYRADIUS 100 km", NO_MEMBER),
    ("GEOSEARCH no FROMMEMBER x BYRADIUS 100 km", []),
    ("GEOSEARCH g FROMMEMBER p FROMLONLAT 1 1 BYRADIUS 1 m", SYNTAX),
    ("GEOSEARCH g FROMMEMBER p BYRADIUS 1 m BYBOX 1 1 m", SYNTAX),
    ("GEOSEARCH g FROMMEMBER p BYRADIUS 1 m STOREDIST", SYNTAX),
    ("GEOSEARCH g FROMMEMBER p BYRADIUS 1 m STORE d", SYNTAX),
    ("GEOSEARCH g FROMMEMBER p BYBOX 1 -1 m", Failure("ERR height or width cannot be negative")),
    ("GEOSEARCH g FROMMEMBER p BYBOX x 1 m", Failure("ERR need numeric width")),
    ("GEOSEARCH g FROMMEMBER p BYBOX 1 x m", Failure("ERR need numeric height")),
    ("GEOSEARCH g BYRADIUS 1 m ASC ASC ASC", Failure(
        "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH")),
    ("geosearch g FROMMEMBER p ASC ASC ASC", Failure(
        "ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch")),
    ("GEOSEARCHSTORE d g FROMMEMBER p BYRADIUS 1 m WITHDIST", Failure(
        "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reply"), REPLIES)
def test_replies(node: MemoryNode, line: str, reply: Plain) -> None:
    assert node.call(*line.split()) == reply


def test_shapes_in_resp3(node: MemoryNode) -> None:
    node.call("HELLO", 3)
    assert node.receive(["GEOPOS", "g", "p", "x"]) == (
        b"*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n"
    )
    assert node.receive(["GEODIST", "g", "p", "c"]) == b"$11\r\n166274.1516\r\n"


STORES: list[tuple[str, int, list[bytes]]] = [
    ("GEORADIUS g 15 37 200 km STORE d", 2, [b"p", PALERMO, b"c", CATANIA]),
    ("GEORADIUS g 15 37 200 km COUNT 1 STORE x STORE d", 1, [b"c", CATANIA]),
    ("GEORADIUSBYMEMBER g p 1 m STOREDIST d", 1, [b"p", b"0"]),
    ("GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 100 km", 1, [b"c", CATANIA]),
    ("GEOSEARCHSTORE d g FROMMEMBER p BYBOX 1 1 km STOREDIST", 1, [b"p", b"0"]),
    ("GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 1 m", 0, []),
    ("GEORADIUS no 15 37 200 km STORE d", 0, []),
]


@pytest.mark.parametrize(("line", "reply", "stored"), STORES)
def test_stores(node: MemoryNode, line: str, reply: int, stored: list[bytes]) -> None:
    node.call("SET", "d", "old")
    node.take_batches()
    assert node.call(*line.split()) == reply
    sent, events = node.take_effects()
    assert sent == [line.encode().split()]
    name = b"geosearchstore" if line.startswith("GEOSEARCH") else b"georadiusstore"
    assert events == [("z", name, b"d") if stored else ("g", b"del", b"d")]
    assert node.call("ZRANGE", "d", 0, -1, "WITHSCORES") == stored


def test_positions_are_sent_as_scores(node: MemoryNode) -> None:
    node.call("GEOADD", "n", "CH", "13.361389", "38.115556", "p")
    assert node.take_effects() == (
        [[b"ZADD", b"n", b"CH", PALERMO, b"p"]],
        [("z", b"zadd", b"n")],
    )
    node.call("GEOADD", "n", "13.361389", "38.115556", "p")
    assert node.take_batches() == []


def test_the_end_of_the_world(node: MemoryNode) -> None:
    # A longitude of exactly 180 makes a score with one bit too many, which searches must respect.
    node.call("GEOADD", "g", "180", "85", "n", "-0.127758", "51.507351", "l")
    assert node.call("GEORADIUS", "g", "180", "-33.5", "1000000", "km")[0] == b"n"
