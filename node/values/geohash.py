"""Positions on Earth as sorted-set scores: the geometry behind GEOADD, GEOSEARCH and their kin.

Owns the 52-bit geohash, distances, the areas that a search has to look at, and their printing.

Rules:

* A score holds 26 bits of the longitude and 26 of the latitude, interleaved; the latitude has the
  limits of Web Mercator, not of the usual geohash, so GEOHASH encodes the position anew.
* Results are those of C's double arithmetic in Redis' order of operations: whether a member on
  the rim is found, and the last printed digit, depend on it. What C computes as NaN or infinity
  (a search with an infinite radius) is so here, and no input raises an exception.
* A search looks at nine cells and yields members cell by cell: `search_ranges` keeps Redis' order
  and its way to skip cells, as an unsorted reply shows both.
"""

from __future__ import annotations

import math

import attrs

from .numbers import format_long_double, long_double_from_double

LONGITUDE_MINIMUM, LONGITUDE_MAXIMUM = -180.0, 180.0
LATITUDE_MINIMUM, LATITUDE_MAXIMUM = -85.05112878, 85.05112878

_EARTH_RADIUS_METERS = 6372797.560856
_MERCATOR_MAXIMUM = 20037726.37
_DEGREE = math.pi / 180.0
_STEPS_MAXIMUM = 26
_HASH_LENGTH = 11
_HASH_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
_EVEN_BITS = 0x5555555555555555
_WORD_MASK = 2**64 - 1
_HALF_MASK = 2**32 - 1

UNIT_METERS: dict[bytes, float] = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}

# Steps in cells (longitude, latitude) to the neighbours, in the order in which Redis visits them.
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def unit_in_meters(name: bytes) -> float | None:
    """Return how many meters a unit has: m, km, ft or mi, in any case."""
    return UNIT_METERS.get(name.lower())


def is_valid_position(longitude: float, latitude: float) -> bool:
    """Tell whether a position can be stored."""
    return (
        LONGITUDE_MINIMUM <= longitude <= LONGITUDE_MAXIMUM
        and LATITUDE_MINIMUM <= latitude <= LATITUDE_MAXIMUM
    )


def encode_score(longitude: float, latitude: float) -> int:
    """Return the score of a valid position."""
    return _encode(longitude, latitude, _STEPS_MAXIMUM, LATITUDE_MINIMUM, LATITUDE_MAXIMUM)


def decode_score(score: float) -> tuple[float, float]:
    """Return the longitude and latitude of a score, which may be any number at all."""
    cell = _Cell(_to_unsigned(score), _STEPS_MAXIMUM)
    west, east, south, north = _area(cell)
    return (
        min(LONGITUDE_MAXIMUM, max(LONGITUDE_MINIMUM, (west + east) / 2)),
        min(LATITUDE_MAXIMUM, max(LATITUDE_MINIMUM, (south + north) / 2)),
    )


def geohash_text(score: float) -> bytes:
    """Return the usual geohash of a score, for GEOHASH; its eleventh character is always 0."""
    longitude, latitude = decode_score(score)
    bits = _encode(longitude, latitude, _STEPS_MAXIMUM, -90.0, 90.0)
    indexes = [bits >> 52 - 5 * place & 0x1F for place in range(1, _HASH_LENGTH)]
    return bytes([_HASH_ALPHABET[index] for index in indexes]) + b"0"


def distance_meters(
    longitude: float, latitude: float, other_longitude: float, other_latitude: float
) -> float:
    """Return the distance on a sphere, by the haversine formula."""
    v = math.sin((other_longitude * _DEGREE - longitude * _DEGREE) / 2)
    if v == 0.0:
        return _latitude_distance_meters(latitude, other_latitude)
    radians, other_radians = latitude * _DEGREE, other_latitude * _DEGREE
    u = math.sin((other_radians - radians) / 2)
    a = u * u + math.cos(radians) * math.cos(other_radians) * v * v
    # Rounding may lift antipodes above one, where C's asin() would leave the real numbers.
    return 2.0 * _EARTH_RADIUS_METERS * math.asin(min(1.0, math.sqrt(a)))


def _latitude_distance_meters(latitude: float, other_latitude: float) -> float:
    return _EARTH_RADIUS_METERS * abs(other_latitude * _DEGREE - latitude * _DEGREE)


def format_distance(distance: float) -> bytes:
    """Print a distance with four digits behind the point, ties to even."""
    scaled = round(distance * 10000.0)
    whole, fraction = divmod(scaled, 10000)
    return b"%d.%04d" % (whole, fraction)


def format_coordinate(degrees: float) -> bytes:
    """Print a longitude or latitude, as GEOPOS and WITHCOORD do."""
    return format_long_double(long_double_from_double(degrees))


@attrs.frozen(slots=True)
class Circle:
    """A search area: everything within a radius, given in a unit of so many meters."""

    longitude: float
    latitude: float
    radius: float
    unit_meters: float = 1.0

    def half_sides_meters(self) -> tuple[float, float]:
        """Return half the width and half the height of the box around."""
        radius_meters = self.unit_meters * self.radius
        return radius_meters, radius_meters

    def reach_meters(self) -> float:
        """Return how far from the center the area reaches."""
        return self.radius * self.unit_meters

    def distance_meters_within(self, longitude: float, latitude: float) -> float | None:
        """Return the distance of a position from the center, or None if it lies outside."""
        distance = distance_meters(self.longitude, self.latitude, longitude, latitude)
        return None if distance > self.radius * self.unit_meters else distance


@attrs.frozen(slots=True)
class Rectangle:
    """A search area: a box around a center, its sides in a unit of so many meters."""

    longitude: float
    latitude: float
    width: float
    height: float
    unit_meters: float = 1.0

    def half_sides_meters(self) -> tuple[float, float]:
        """Return half the width and half the height."""
        return self.unit_meters * (self.width / 2), self.unit_meters * (self.height / 2)

    def reach_meters(self) -> float:
        """Return how far from the center the corners are."""
        half_width, half_height = self.width / 2, self.height / 2
        return math.sqrt(half_width * half_width + half_height * half_height) * self.unit_meters

    def distance_meters_within(self, longitude: float, latitude: float) -> float | None:
        """Return the distance of a position from the center, or None if it lies outside."""
        if _latitude_distance_meters(latitude, self.latitude) > self.height * self.unit_meters / 2:
            return None
        across = distance_meters(longitude, latitude, self.longitude, latitude)
        if across > self.width * self.unit_meters / 2:
            return None
        return distance_meters(self.longitude, self.latitude, longitude, latitude)


Shape = Circle | Rectangle


def search_ranges(shape: Shape) -> list[tuple[int, int]]:
    """Return the ranges of scores (first, behind the last) to look at, in Redis' order."""
    west, south, east, north = bounding_box(shape)
    steps = estimate_steps(shape.reach_meters(), shape.latitude)
    center = _cell_of(shape, steps)
    if steps > 1 and _is_too_fine(center, west, south, east, north):
        steps -= 1
        center = _cell_of(shape, steps)
    cell_west, cell_east, cell_south, cell_north = _area(center)
    prune = steps >= 2
    skipped_x = {-1: prune and cell_west < west, 1: prune and cell_east > east, 0: False}
    skipped_y = {-1: prune and cell_south < south, 1: prune and cell_north > north, 0: False}
    ranges = [_score_range(center)]
    # Around a huge area cells repeat. Redis compares with the last one only, never with the center.
    last: _Cell | None = None
    for x, y in _NEIGHBOURS:
        if skipped_x[x] or skipped_y[y]:
            continue
        cell = center.moved(x, y)
        if cell != last:
            ranges.append(_score_range(cell))
            last = cell
    return ranges


def bounding_box(shape: Shape) -> tuple[float, float, float, float]:
    """Return west, south, east and north of a box, in degrees, that contains the area."""
    half_width, half_height = shape.half_sides_meters()
    latitude_delta = half_height / _EARTH_RADIUS_METERS / _DEGREE
    # The wider edge is the one nearer to the pole, as an arc is shorter there.
    edge = shape.latitude + (-latitude_delta if shape.latitude < 0 else latitude_delta)
    longitude_delta = half_width / _EARTH_RADIUS_METERS / _cosine(edge * _DEGREE) / _DEGREE
    return (
        shape.longitude - longitude_delta,
        shape.latitude - latitude_delta,
        shape.longitude + longitude_delta,
        shape.latitude + latitude_delta,
    )


def estimate_steps(reach_meters: float, latitude: float) -> int:
    """Return how many bits a coordinate of a cell should have for nine cells to cover an area."""
    if reach_meters == 0:
        return _STEPS_MAXIMUM
    steps = 1
    while reach_meters < _MERCATOR_MAXIMUM:
        reach_meters *= 2
        steps += 1
    steps -= 2
    # Cells are narrower towards the poles.
    if abs(latitude) > 66:
        steps -= 1
    if abs(latitude) > 80:
        steps -= 1
    return max(1, min(_STEPS_MAXIMUM, steps))


@attrs.frozen(slots=True)
class _Cell:
    """All positions whose geohash begins with these bits, `steps` of each coordinate."""

    bits: int
    steps: int

    def moved(self, x: int, y: int) -> _Cell:
        """Return the cell so many cells to the east and to the north; it wraps around."""
        return _Cell(self._moved(x, _EVEN_BITS << 1) | self._moved(y, _EVEN_BITS), self.steps)

    def _moved(self, by: int, mask: int) -> int:
        if not by:
            # A longitude of exactly 180 has one bit too many, which only a move in x takes away.
            return self.bits & mask
        mask &= (1 << 2 * self.steps) - 1
        if by > 0:
            # Filling the other coordinate's bits carries the one across them.
            return (self.bits | ~mask) + (mask & -mask) & mask
        return (self.bits & mask) - (mask & -mask) & mask


def _cell_of(shape: Shape, steps: int) -> _Cell:
    bits = _encode(shape.longitude, shape.latitude, steps, LATITUDE_MINIMUM, LATITUDE_MAXIMUM)
    return _Cell(bits, steps)


def _is_too_fine(cell: _Cell, west: float, south: float, east: float, north: float) -> bool:
    """Tell whether the nine cells may not reach the edges of a box."""
    return (
        _area(cell.moved(0, 1))[3] < north
        or _area(cell.moved(0, -1))[2] > south
        or _area(cell.moved(1, 0))[1] < east
        or _area(cell.moved(-1, 0))[0] > west
    )


def _score_range(cell: _Cell) -> tuple[int, int]:
    shift = 2 * (_STEPS_MAXIMUM - cell.steps)
    return cell.bits << shift & _WORD_MASK, (cell.bits + 1) << shift & _WORD_MASK


def _encode(longitude: float, latitude: float, steps: int, south: float, north: float) -> int:
    cells = 1 << steps
    latitude_offset = (latitude - south) / (north - south) * cells
    longitude_offset = (longitude - LONGITUDE_MINIMUM) / (LONGITUDE_MAXIMUM - LONGITUDE_MINIMUM)
    return _spread(int(latitude_offset)) | _spread(int(longitude_offset * cells)) << 1


def _area(cell: _Cell) -> tuple[float, float, float, float]:
    """Return west, east, south and north of a cell."""
    x, y = _gather(cell.bits >> 1), _gather(cell.bits)
    cells = 1 << cell.steps
    width = LONGITUDE_MAXIMUM - LONGITUDE_MINIMUM
    height = LATITUDE_MAXIMUM - LATITUDE_MINIMUM
    # C adds the one in 32 bits.
    return (
        LONGITUDE_MINIMUM + x / cells * width,
        LONGITUDE_MINIMUM + (x + 1 & _HALF_MASK) / cells * width,
        LATITUDE_MINIMUM + y / cells * height,
        LATITUDE_MINIMUM + (y + 1 & _HALF_MASK) / cells * height,
    )


_SPREADS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, _EVEN_BITS),
)


def _spread(value: int) -> int:
    """Put the 32 bits of a number on the even bits of a word."""
    for shift, mask in _SPREADS:
        value = (value | value << shift) & mask
    return value


def _gather(value: int) -> int:
    """Undo `_spread`, dropping the odd bits."""
    value &= _EVEN_BITS
    for (shift, _), (_, mask) in zip(reversed(_SPREADS), _GATHER_MASKS, strict=True):
        value = (value | value >> shift) & mask
    return value


_GATHER_MASKS = (*reversed(_SPREADS[:-1]), (0, _HALF_MASK))


def _to_unsigned(value: float) -> int:
    """Convert as x86-64 code does in C, where most of this is undefined."""
    if -(2.0**63) <= value < 2.0**64:
        return int(value) & _WORD_MASK
    return 0 if value > 0 else 1 << 63


def _cosine(angle: float) -> float:
    return math.cos(angle) if math.isfinite(angle) else math.nan
