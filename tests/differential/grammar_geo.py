"""The geo group. Few places, so that distances are equal now and then; then order is open."""

from typing import Final

from .agreement import numbers_alike, unordered
from .dsl import command, constant, double, key, maybe, member, mostly, one_of, options, repeat, seq

_PLACE: Final = mostly(
    one_of(
        constant(b"13.361389"),
        constant(b"15.087269"),
        constant(b"2.349014"),
        constant(b"-179.99"),
        constant(b"180"),
        constant(b"0"),
    ),
    double,
    0.95,
)
_LATITUDE: Final = mostly(
    constant(*(b"38.115556", b"37.502669", b"48.864716", b"85", b"-85", b"0", b"-33.5")),
    double,
    0.95,
)
_POSITION: Final = seq(_PLACE, _LATITUDE)
_UNIT: Final = mostly(one_of("m", "km", "ft", "mi"), constant(b"x", b"", b"meter"), 0.97)
_LENGTH: Final = mostly(
    constant(*(b"0", b"100", b"200.5", b"5000", b"20000000", b"1000000", b"30")), double, 0.95
)
_NUMBER: Final = mostly(constant(b"1", b"2", b"3", b"10"), constant(b"0", b"-1", b"x"), 0.95)
#: With a count the nearest are chosen, and of equally near ones any.
_SHOWN: Final = options("WITHCOORD", "WITHDIST", "WITHHASH")
_ORDER: Final = maybe(one_of("ASC", "DESC"))
_FROM: Final = mostly(
    one_of(seq("FROMMEMBER", member), seq("FROMLONLAT", _POSITION)), seq("FROMMEMBER", member)
)
_BY: Final = one_of(seq("BYRADIUS", _LENGTH, _UNIT), seq("BYBOX", _LENGTH, _LENGTH, _UNIT))
#: Each member has a place of its own that no other has: here order can be told.
_APART: Final = constant(b"apart")
_CITIES: Final = (
    b"13.361389 38.115556 p 15.087269 37.502669 c 2.349014 48.864716 s -0.127758 51.507351 l "
    b"139.839478 35.652832 t 13.41 38.2 q 180 85 n"
)
_ANY: Final = numbers_alike(unordered)

GRAMMAR: Final = [
    command("GEOADD", key, options("NX", "XX", "CH"), repeat(seq(_POSITION, member)), weight=8),
    command("ZADD", key, repeat(seq(double, member)), weight=1),
    command("ZREM", key, member),
    command("GEOPOS", key, repeat(member), weight=2),
    command("GEOHASH", key, repeat(member), weight=2),
    command("GEODIST", key, member, member, maybe(_UNIT), weight=2),
    command(
        "GEOADD",
        _APART,
        *map(constant, _CITIES.split()),
        weight=3,
        takes_damage=False,
    ),
    command(
        "GEOADD",
        _APART,
        options("NX", "XX", "CH"),
        constant(b"-70.6", b"151.2", b"-179.9"),
        constant(b"-33.4", b"61.25"),
        constant(b"r"),
        takes_damage=False,
    ),
    command("GEORADIUS", key, _POSITION, _LENGTH, _UNIT, _SHOWN, _ORDER, agree=_ANY, weight=2),
    command("GEORADIUS_RO", key, _POSITION, _LENGTH, _UNIT, _SHOWN, _ORDER, agree=_ANY),
    command("GEORADIUSBYMEMBER", key, member, _LENGTH, _UNIT, _SHOWN, _ORDER, agree=_ANY),
    command("GEORADIUSBYMEMBER_RO", key, member, _LENGTH, _UNIT, _SHOWN, _ORDER, agree=_ANY),
    command("GEOSEARCH", key, _FROM, _BY, _SHOWN, _ORDER, agree=_ANY, weight=4),
    command(
        "GEOSEARCH",
        key,
        options(_FROM, _BY, _SHOWN, seq("COUNT", _NUMBER), "ANY", "STOREDIST", _BY, _FROM),
        constant(b"asc", b"DESC"),
        constant(b"asc", b"DESC"),
        constant(b"asc", b"DESC"),
        agree=_ANY,
    ),
    command(
        "GEOSEARCH",
        _APART,
        one_of(seq("FROMLONLAT", _POSITION), seq("FROMMEMBER", constant(b"p", b"c", b"t", b"x"))),
        _BY,
        _SHOWN,
        maybe(seq("COUNT", _NUMBER)),
        _ORDER,
        agree=numbers_alike(),
        weight=4,
    ),
    command(
        "GEOSEARCH",
        _APART,
        "FROMLONLAT",
        _POSITION,
        _BY,
        maybe(seq("COUNT", _NUMBER, "ANY")),
        weight=2,
    ),
    command(
        "GEORADIUS",
        _APART,
        _POSITION,
        _LENGTH,
        _UNIT,
        _SHOWN,
        maybe(seq("COUNT", _NUMBER, maybe("ANY"))),
        _ORDER,
        weight=2,
    ),
    command("GEORADIUS", key, _POSITION, _LENGTH, _UNIT, one_of("STORE", "STOREDIST"), key),
    command(
        "GEORADIUSBYMEMBER",
        _APART,
        constant(b"p", b"c", b"t", b"x"),
        _LENGTH,
        _UNIT,
        options(_SHOWN, seq("STORE", key), seq("STOREDIST", key), seq("COUNT", _NUMBER)),
        weight=2,
    ),
    command("GEOSEARCHSTORE", key, key, _FROM, _BY, maybe("STOREDIST"), weight=2),
    command(
        "GEOSEARCHSTORE",
        key,
        _APART,
        _FROM,
        _BY,
        options("STOREDIST", seq("COUNT", _NUMBER), "ASC", "WITHDIST", "ANY"),
    ),
    command("DEL", key),
]
