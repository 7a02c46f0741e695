"""Positions on Earth: members of sorted sets whose scores are geohashes.

GEOADD is ZADD with computed scores, and so it is sent to replicas and AOF. All searches are one
(`geo_search`), read in two grammars: that of GEORADIUS and its kin, which begin with what to look
for, and that of GEOSEARCH, where everything has a name.
"""

from typing import Final

from ...slots.keyspec import FindRange, keyword_keys, one_key
from ..errors import SYNTAX
from ..registry import command
from ..resp.encoder import array, bulk
from ..session import Session
from ..values.geohash import (
    decode_score,
    distance_meters,
    encode_score,
    format_distance,
    geohash_text,
)
from ..values.zsetvalue import ZSetValue
from .geo_search import Search, coordinates_reply, parse_position, unit_meters_of
from .zsets import add_scores

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_O_SEARCH: Final = "O(N+log(M)), N members around the area, M in the set"

_OPTIONS_OF_ADD: Final = frozenset({b"NX", b"XX", b"CH"})


# --- members -------------------------------------------------------------------------------------


@command(
    "GEOADD",
    group="geo",
    since="3.2.0",
    arity=-5,
    flags="write denyoom",
    keys=(one_key(1, "RW", "UPDATE"),),
    args="key [condition:oneof(NX|XX)] [CH] (longitude latitude member)...",
    complexity="O(log(N)) for each member",
)
def geoadd(session: Session, args: list[bytes]) -> bytes:
    """Adds members to a sorted set by their positions, or moves them."""
    first = 2
    options: set[bytes] = set()
    while first < len(args) and args[first].upper() in _OPTIONS_OF_ADD:
        options.add(args[first].upper())
        first += 1
    if (len(args) - first) % 3 or {b"NX", b"XX"} <= options:
        raise SYNTAX
    words = [b"ZADD", *args[1:first]]
    for position in range(first, len(args), 3):
        longitude, latitude = parse_position(args[position], args[position + 1])
        words += (b"%d" % encode_score(longitude, latitude), args[position + 2])
    effects = session.db.effects
    dirty_before = effects.dirty
    reply = add_scores(session, words, 0)
    if effects.dirty != dirty_before:
        effects.propagate_instead(session.db.index, words)
    return reply


@command(
    "GEODIST",
    group="geo",
    since="3.2.0",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args="key member1 member2 [unit:oneof(M|KM|FT|MI)]",
    complexity="O(1)",
)
def geodist(session: Session, args: list[bytes]) -> bytes:
    """Returns how far two members are from each other."""
    if len(args) > 5:
        raise SYNTAX
    meters = unit_meters_of(args[4]) if len(args) == 5 else 1.0
    value = session.db.typed(args[1], ZSetValue)
    if value is None:
        return session.encoder.null
    one, other = value.get(args[2]), value.get(args[3])
    if one is None or other is None:
        return session.encoder.null
    return bulk(format_distance(distance_meters(*decode_score(one), *decode_score(other)) / meters))


@command(
    "GEOHASH",
    group="geo",
    since="3.2.0",
    arity=-2,
    flags="readonly",
    keys=_READ,
    args="key [member...]",
    complexity="O(N), N members",
)
def geohash(session: Session, args: list[bytes]) -> bytes:
    """Returns the usual geohashes of members, null where there is none."""
    value = session.db.typed(args[1], ZSetValue)
    null = session.encoder.null
    scores = [None if value is None else value.get(member) for member in args[2:]]
    return array([null if score is None else bulk(geohash_text(score)) for score in scores])


@command(
    "GEOPOS",
    group="geo",
    since="3.2.0",
    arity=-2,
    flags="readonly",
    keys=_READ,
    args="key [member...]",
    complexity="O(N), N members",
)
def geopos(session: Session, args: list[bytes]) -> bytes:
    """Returns the positions of members, null where there is none."""
    value = session.db.typed(args[1], ZSetValue)
    null = session.encoder.null_array
    scores = [None if value is None else value.get(member) for member in args[2:]]
    return array(
        [
            null if score is None else coordinates_reply(session, *decode_score(score))
            for score in scores
        ]
    )


# --- searching -----------------------------------------------------------------------------------


def _search_around(session: Session, args: list[bytes], *, by_member: bool, stores: bool) -> bytes:
    """GEORADIUS and its kin."""
    search = Search(session, args, args[1], is_named=False, stores=stores)
    first = 3 if by_member else 4
    search.read_center(2, first - 2)
    if not by_member or search.value is not None:
        search.read_radius(first)
    search.read_options(first + 2)
    return search.run()


_UNIT: Final = "unit:oneof(M|KM|FT|MI)"
_SHOWN: Final = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_COUNTED: Final = "[count-block:block(COUNT count [ANY])]"
_ORDERED: Final = "[order:oneof(ASC|DESC)]"
_RADIUS_OPTIONS: Final = f"{_SHOWN} {_COUNTED} {_ORDERED}"
_STORED: Final = "[store:oneof(STORE key|STOREDIST key)]"


@command(
    "GEORADIUS",
    group="geo",
    since="3.2.0",
    arity=-6,
    flags="write denyoom",
    keys=(
        one_key(1, "RO", "ACCESS"),
        keyword_keys("STORE", 6, FindRange(0, 1, 0), "OW", "UPDATE"),
        keyword_keys("STOREDIST", 6, FindRange(0, 1, 0), "OW", "UPDATE"),
    ),
    args=f"key longitude latitude radius {_UNIT} {_RADIUS_OPTIONS} {_STORED}",
    complexity=_O_SEARCH,
    deprecated=("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
)
def georadius(session: Session, args: list[bytes]) -> bytes:
    """Returns or stores the members within a radius around a position."""
    return _search_around(session, args, by_member=False, stores=True)


@command(
    "GEORADIUS_RO",
    group="geo",
    since="3.2.10",
    arity=-6,
    flags="readonly",
    keys=_READ,
    args=f"key longitude latitude radius {_UNIT} {_RADIUS_OPTIONS}",
    complexity=_O_SEARCH,
    deprecated=("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
)
def georadius_ro(session: Session, args: list[bytes]) -> bytes:
    """Returns the members within a radius around a position."""
    return _search_around(session, args, by_member=False, stores=False)


@command(
    "GEORADIUSBYMEMBER",
    group="geo",
    since="3.2.0",
    arity=-5,
    flags="write denyoom",
    keys=(
        one_key(1, "RO", "ACCESS"),
        keyword_keys("STORE", 5, FindRange(0, 1, 0), "OW", "UPDATE"),
        keyword_keys("STOREDIST", 5, FindRange(0, 1, 0), "OW", "UPDATE"),
    ),
    args=f"key member radius {_UNIT} {_RADIUS_OPTIONS} {_STORED}",
    complexity=_O_SEARCH,
    deprecated=(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
)
def georadiusbymember(session: Session, args: list[bytes]) -> bytes:
    """Returns or stores the members within a radius around another member."""
    return _search_around(session, args, by_member=True, stores=True)


@command(
    "GEORADIUSBYMEMBER_RO",
    group="geo",
    since="3.2.10",
    arity=-5,
    flags="readonly",
    keys=_READ,
    args=f"key member radius {_UNIT} {_RADIUS_OPTIONS}",
    complexity=_O_SEARCH,
    deprecated=("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
)
def georadiusbymember_ro(session: Session, args: list[bytes]) -> bytes:
    """Returns the members within a radius around another member."""
    return _search_around(session, args, by_member=True, stores=False)


_FROM: Final = "from:oneof(FROMMEMBER member|fromlonlat:block(FROMLONLAT longitude latitude))"
_BY: Final = (
    f"by:oneof(circle:block(BYRADIUS radius {_UNIT})|box:block(BYBOX width height {_UNIT}))"
)


@command(
    "GEOSEARCH",
    group="geo",
    since="6.2.0",
    arity=-7,
    flags="readonly",
    keys=_READ,
    args=f"key {_FROM} {_BY} {_ORDERED} {_COUNTED} {_SHOWN}",
    complexity=_O_SEARCH,
)
def geosearch(session: Session, args: list[bytes]) -> bytes:
    """Returns the members within a circle or a box."""
    search = Search(session, args, args[1], is_named=True, stores=False)
    search.read_options(2)
    return search.run()


@command(
    "GEOSEARCHSTORE",
    group="geo",
    since="6.2.0",
    arity=-8,
    flags="write denyoom",
    keys=(one_key(1, "OW", "UPDATE"), one_key(2, "RO", "ACCESS")),
    args=(f"destination:key source:key {_FROM} {_BY} {_ORDERED} {_COUNTED} [STOREDIST]"),
    complexity=_O_SEARCH,
)
def geosearchstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members within a circle or a box."""
    search = Search(session, args, args[2], is_named=True, stores=True)
    search.destination = args[1]
    search.read_options(3)
    return search.run()
