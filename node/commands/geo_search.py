"""One search for positions: what is asked for, what is found, how it is shown or stored."""

from typing import Final

from attrs import frozen

from ..errors import COUNT_OPTION_NOT_POSITIVE, NOT_A_FLOAT, SYNTAX, CommandError
from ..resp.bulks import bulk_row
from ..resp.encoder import CRLF, EMPTY_ARRAY, array, bulk, integer
from ..session import Session
from ..values.geohash import (
    Circle,
    Rectangle,
    Shape,
    decode_score,
    format_coordinate,
    format_distance,
    is_valid_position,
    search_ranges,
    unit_in_meters,
)
from ..values.numbers import parse_float
from ..values.zsetvalue import ScoreBound, ZSetValue
from .arguments import required_integer
from .zsets import store_scores

_BAD_RADIUS: Final = CommandError(b"ERR need numeric radius")
_NEGATIVE_RADIUS: Final = CommandError(b"ERR radius cannot be negative")
_BAD_WIDTH: Final = CommandError(b"ERR need numeric width")
_BAD_HEIGHT: Final = CommandError(b"ERR need numeric height")
_NEGATIVE_SIDE: Final = CommandError(b"ERR height or width cannot be negative")
_NO_SUCH_MEMBER: Final = CommandError(b"ERR could not decode requested zset member")
_ANY_ALONE: Final = CommandError(b"ERR the ANY argument requires COUNT argument")
_BAD_UNIT: Final = CommandError(b"ERR unsupported unit provided. please use M, KM, FT, MI")


def unit_meters_of(name: bytes) -> float:
    """How many meters a unit has."""
    meters = unit_in_meters(name)
    if meters is None:
        raise _BAD_UNIT
    return meters


def parse_position(longitude_text: bytes, latitude_text: bytes) -> tuple[float, float]:
    """Longitude and latitude of a position that can be stored."""
    longitude, latitude = parse_float(longitude_text), parse_float(latitude_text)
    if longitude is None or latitude is None:
        raise NOT_A_FLOAT
    if not is_valid_position(longitude, latitude):
        pair = "%f,%f" % (longitude, latitude)  # noqa: UP031  C's notation, however large
        raise CommandError(b"ERR invalid longitude,latitude pair " + pair.encode())
    return longitude, latitude


def coordinates_reply(session: Session, longitude: float, latitude: float) -> bytes:
    """Longitude and latitude as a pair."""
    texts = format_coordinate(longitude), format_coordinate(latitude)
    if session.resp3:
        return b"*2\r\n,%b\r\n,%b\r\n" % texts
    return b"*2\r\n" + bulk(texts[0]) + bulk(texts[1])


@frozen
class _Found:
    """A member within the area."""

    member: bytes
    score: float
    longitude: float
    latitude: float
    distance_meters: float


class Search:
    """One search, as its options are read."""

    def __init__(
        self, session: Session, args: list[bytes], source: bytes, *, is_named: bool, stores: bool
    ) -> None:
        self.session = session
        self.args = args
        #: Whether this is GEOSEARCH's grammar.
        self.is_named = is_named
        #: Whether STORE and STOREDIST are known, in the form that belongs to the grammar.
        self.stores = stores
        self.value = session.db.typed(source, ZSetValue)
        self.destination: bytes | None = None
        self.stores_distance = False
        self.center: tuple[float, float] | None = None
        self.center_word = b""
        #: In one of two shapes: a radius, or a width and a height; and the unit in meters.
        self.radius: float | None = None
        self.sides: tuple[float, float] | None = None
        self.unit_meters = 1.0
        self.shows: set[bytes] = set()
        self.is_any = False
        self.is_descending: bool | None = None
        #: 0: no limit.
        self.count = 0

    # --- reading ----------------------------------------------------------------------------

    def read_center(self, position: int, count: int) -> None:
        """A place, or (`count` 1) a member; it cannot be looked up in a set that is not there."""
        if count == 2:
            self.center = parse_position(self.args[position], self.args[position + 1])
            return
        self.center = (0.0, 0.0)
        if self.value is not None:
            score = self.value.get(self.args[position])
            if score is None:
                raise _NO_SUCH_MEMBER
            self.center = decode_score(score)

    def read_radius(self, position: int) -> None:
        """A radius and its unit."""
        radius = parse_float(self.args[position])
        if radius is None:
            raise _BAD_RADIUS
        if radius < 0:
            raise _NEGATIVE_RADIUS
        self.unit_meters = unit_meters_of(self.args[position + 1])
        self.radius = radius

    def read_sides(self, position: int) -> None:
        """A width, a height and their unit."""
        width = parse_float(self.args[position])
        if width is None:
            raise _BAD_WIDTH
        height = parse_float(self.args[position + 1])
        if height is None:
            raise _BAD_HEIGHT
        if width < 0 or height < 0:
            raise _NEGATIVE_SIDE
        self.unit_meters = unit_meters_of(self.args[position + 2])
        self.sides = width, height

    def read_options(self, position: int) -> None:
        """Everything from a position to the end of the line."""
        args = self.args
        while position < len(args):
            word = args[position].upper()
            left = len(args) - position - 1
            position += 1
            if word in (b"WITHDIST", b"WITHHASH", b"WITHCOORD"):
                self.shows.add(word)
            elif word == b"ANY":
                self.is_any = True
            elif word in (b"ASC", b"DESC"):
                self.is_descending = word == b"DESC"
            elif word == b"COUNT" and left:
                self._read_count(args[position])
                position += 1
            elif self.is_named:
                position += self._read_named(word, position, left)
            elif self.stores and word in (b"STORE", b"STOREDIST") and left:
                self.destination = args[position]
                self.stores_distance = word == b"STOREDIST"
                position += 1
            else:
                raise SYNTAX
        self._check()

    def _read_count(self, text: bytes) -> None:
        count = required_integer(text)
        if count <= 0:
            raise COUNT_OPTION_NOT_POSITIVE
        self.count = count

    def _read_named(self, word: bytes, position: int, left: int) -> int:
        """An option that only GEOSEARCH and GEOSEARCHSTORE know; returns how many words it took."""
        if word == b"STOREDIST" and self.stores:
            self.stores_distance = True
            return 0
        if word == b"FROMMEMBER" and left >= 1 and self.center_word in (b"", word):
            self.read_center(position, 1)
            self.center_word = word
            return 1
        if word == b"FROMLONLAT" and left >= 2 and self.center_word in (b"", word):
            self.read_center(position, 2)
            self.center_word = word
            return 2
        if word == b"BYRADIUS" and left >= 2 and self.sides is None:
            self.read_radius(position)
            return 2
        if word == b"BYBOX" and left >= 3 and self.radius is None:
            self.read_sides(position)
            return 3
        raise SYNTAX

    def _check(self) -> None:
        if self.destination is not None and self.shows:
            name = b"GEOSEARCHSTORE" if self.is_named else b"STORE option in GEORADIUS"
            raise CommandError(
                b"ERR %b is not compatible with WITHDIST, WITHHASH and WITHCOORD options" % name
            )
        if self.is_named and self.center is None:
            raise CommandError(
                b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + self.args[0]
            )
        if self.is_named and self.radius is None and self.sides is None:
            raise CommandError(
                b"ERR exactly one of BYRADIUS and BYBOX can be specified for " + self.args[0]
            )
        if self.is_any and not self.count:
            raise _ANY_ALONE

    # --- finding ----------------------------------------------------------------------------

    def _shape(self) -> Shape:
        assert self.center is not None
        if self.sides is not None:
            return Rectangle(*self.center, *self.sides, self.unit_meters)
        assert self.radius is not None
        return Circle(*self.center, self.radius, self.unit_meters)

    def _find(self, value: ZSetValue) -> list[_Found]:
        shape = self._shape()
        found: list[_Found] = []
        limit = self.count if self.is_any else 0
        for lowest, behind in search_ranges(shape):
            bounds = ScoreBound(float(lowest)), ScoreBound(float(behind), is_exclusive=True)
            for member, score in value.pairs(*value.score_ranks(*bounds)):
                longitude, latitude = decode_score(score)
                distance = shape.distance_meters_within(longitude, latitude)
                if distance is not None:
                    found.append(_Found(member, score, longitude, latitude, distance))
                    if len(found) == limit:
                        return found
        return found

    def _chosen(self, value: ZSetValue) -> list[_Found]:
        found = self._find(value)
        if self.is_descending:
            found.sort(key=lambda one: -one.distance_meters)
        elif self.is_descending is False or (self.count and not self.is_any):
            # The nearest ones are meant where a number is given without an order.
            found.sort(key=lambda one: one.distance_meters)
        return found[: self.count] if self.count else found

    def run(self) -> bytes:
        """Search, and reply or store."""
        found = [] if self.value is None else self._chosen(self.value)
        if self.destination is None:
            return self._reply(found) if found else EMPTY_ARRAY
        scores = {
            one.member: one.distance_meters / self.unit_meters
            if self.stores_distance
            else one.score
            for one in found
        }
        event = b"geosearchstore" if self.is_named else b"georadiusstore"
        reply = store_scores(self.session, self.destination, scores, event)
        return integer(len(found)) if found else reply

    def _reply(self, found: list[_Found]) -> bytes:
        shows = self.shows
        if not shows:
            return bulk_row([one.member for one in found])
        header = b"*%d" % (len(shows) + 1) + CRLF
        replies: list[bytes] = []
        for one in found:
            reply = header + bulk(one.member)
            if b"WITHDIST" in shows:
                reply += bulk(format_distance(one.distance_meters / self.unit_meters))
            if b"WITHHASH" in shows:
                reply += integer(int(one.score))
            if b"WITHCOORD" in shows:
                reply += coordinates_reply(self.session, one.longitude, one.latitude)
            replies.append(reply)
        return array(replies)
