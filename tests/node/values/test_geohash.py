"""Positions, distances and search areas: known values, and the real server's answers."""

from __future__ import annotations

import math
import random

import pytest

from clustrio.node.values.geohash import (
    LATITUDE_MAXIMUM,
    LATITUDE_MINIMUM,
    Circle,
    Rectangle,
    Shape,
    bounding_box,
    decode_score,
    distance_meters,
    encode_score,
    estimate_steps,
    format_coordinate,
    format_distance,
    geohash_text,
    is_valid_position,
    search_ranges,
    unit_in_meters,
)

from .conftest import Oracle

PALERMO = (13.361389, 38.115556)
CATANIA = (15.087269, 37.502669)


def test_the_cities_of_the_manual() -> None:
    palermo, catania = encode_score(*PALERMO), encode_score(*CATANIA)
    assert palermo == 3479099956230698
    assert catania == 3479447370796909
    assert geohash_text(palermo) == b"sqc8b49rny0"
    assert geohash_text(catania) == b"sqdtr74hyu0"
    assert [format_coordinate(degrees) for degrees in decode_score(palermo)] == [
        b"13.36138933897018433",
        b"38.11555639549629859",
    ]
    distance = distance_meters(*decode_score(palermo), *decode_score(catania))
    assert format_distance(distance) == b"166274.1516"
    assert format_distance(distance / 1000) == b"166.2742"
    assert format_distance(distance / 1609.34) == b"103.3182"


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (0.0, b"0.0000"),
        (0.00001, b"0.0000"),
        (0.0005, b"0.0005"),
        (0.775, b"0.7750"),
        (12.34567, b"12.3457"),
        (0.03125, b"0.0312"),
        (0.09375, b"0.0938"),
        (20037726.37, b"20037726.3700"),
    ],
)
def test_printing_distances(distance: float, expected: bytes) -> None:
    assert format_distance(distance) == expected


def test_units_and_limits() -> None:
    assert [unit_in_meters(name) for name in (b"m", b"KM", b"Ft", b"mi", b"yd")] == [
        1.0,
        1000.0,
        0.3048,
        1609.34,
        None,
    ]
    assert is_valid_position(180.0, LATITUDE_MAXIMUM)
    assert not is_valid_position(180.1, 0.0)
    assert not is_valid_position(0.0, 85.06)
    assert not is_valid_position(math.nan, 0.0)


def test_positions_survive_their_score() -> None:
    generator = random.Random(81)
    for _ in range(500):
        longitude = generator.uniform(-180, 180)
        latitude = generator.uniform(LATITUDE_MINIMUM, LATITUDE_MAXIMUM)
        score = encode_score(longitude, latitude)
        back = decode_score(float(score))
        assert back == pytest.approx((longitude, latitude), abs=1e-5)
        assert encode_score(*back) == score


@pytest.mark.parametrize("score", [0.0, -1.0, 1e30, -1e30, math.inf, -math.inf, 2.0**63, 0.5])
def test_any_score_is_some_position(score: float) -> None:
    assert is_valid_position(*decode_score(score))
    assert len(geohash_text(score)) == 11


@pytest.mark.parametrize(
    ("reach", "latitude", "steps"),
    [
        (0.0, 0.0, 26),
        (0.1, 0.0, 26),
        (1000.0, 0.0, 14),
        (1000.0, 70.0, 13),
        (1000.0, -81.0, 12),
        (3e7, 0.0, 1),
        (math.inf, 0.0, 1),
    ],
)
def test_steps(reach: float, latitude: float, steps: int) -> None:
    assert estimate_steps(reach, latitude) == steps


def test_areas_contain_the_members_within_them() -> None:
    generator = random.Random(82)
    for _ in range(300):
        shape = random_shape(generator, 70)
        if shape.reach_meters() > 1e6:
            continue  # Beyond a pole the box is nonsense, which Redis makes up for by its cells.
        west, south, east, north = bounding_box(shape)
        assert west <= shape.longitude <= east
        assert south <= shape.latitude <= north
        ranges = search_ranges(shape)
        score = encode_score(shape.longitude, shape.latitude)
        assert any(low <= score < high for low, high in ranges)


def test_the_box_is_as_wide_as_its_edge_nearer_to_the_pole_on_both_hemispheres() -> None:
    west, south, east, north = bounding_box(Circle(0.0, 60.0, 1000.0, 1000.0))
    assert east == -west > 1000e3 / (6372797.560856 * math.cos(math.radians(60))) * 180 / math.pi
    assert bounding_box(Circle(0.0, -60.0, 1000.0, 1000.0)) == (west, -north, east, -south)


@pytest.mark.parametrize(
    "shape",
    [
        Circle(10.0, 10.0, math.inf),
        Circle(10.0, 10.0, 5e-324),
        Circle(10.0, 10.0, 1.7e308, 1609.34),
        Rectangle(10.0, 10.0, math.inf, 0.0),
        Rectangle(-180.0, LATITUDE_MINIMUM, math.inf, math.inf),
        Rectangle(180.0, LATITUDE_MAXIMUM, 0.0, 1e308, 1000.0),
    ],
)
def test_extreme_areas_raise_nothing(shape: Shape) -> None:
    assert search_ranges(shape)
    shape.distance_meters_within(-170.0, -10.0)


def random_number(generator: random.Random, largest: float) -> float:
    return float(f"{math.exp(generator.uniform(0, math.log(largest))):.3f}")


def random_shape(generator: random.Random, latitude_limit: float) -> Shape:
    longitude = round(generator.uniform(-180, 180), 5)
    latitude = round(generator.uniform(-latitude_limit, latitude_limit), 5)
    unit = generator.choice([1.0, 1000.0, 0.3048, 1609.34])
    largest = 3e7 / unit
    if generator.random() < 0.5:
        return Circle(longitude, latitude, random_number(generator, largest), unit)
    width, height = random_number(generator, largest), random_number(generator, largest)
    return Rectangle(longitude, latitude, width, height, unit)


def search_words(shape: Shape) -> list[str]:
    unit = {1.0: "m", 1000.0: "km", 0.3048: "ft", 1609.34: "mi"}[shape.unit_meters]
    words = ["FROMLONLAT", repr(shape.longitude), repr(shape.latitude)]
    if isinstance(shape, Circle):
        return [*words, "BYRADIUS", repr(shape.radius), unit]
    return [*words, "BYBOX", repr(shape.width), repr(shape.height), unit]


@pytest.mark.redis_server
@pytest.mark.slow
@pytest.mark.parametrize(("seed", "spread"), [(83, 180.0), (84, 2.0)])
def test_searches_of_the_real_server(oracle: Oracle, seed: int, spread: float) -> None:
    generator = random.Random(seed)
    oracle("FLUSHALL")
    scores: dict[bytes, int] = {}
    for number in range(600):
        longitude = round(generator.uniform(-spread, spread), 6)
        latitude = round(generator.uniform(-min(85.0, spread), min(85.0, spread)), 6)
        name = b"m%03d" % number
        scores[name] = encode_score(longitude, latitude)
        assert oracle("GEOADD", "g", repr(longitude), repr(latitude), name) == 1
    positions = {name: decode_score(score) for name, score in scores.items()}
    members = sorted(scores, key=lambda name: (scores[name], name))
    assert oracle("ZRANGE", "g", 0, -1) == members
    found_count = 0
    for _ in range(150):
        shape = random_shape(generator, 85)
        if spread < 10:
            center = decode_score(scores[generator.choice(members)])
            shape = Circle(round(center[0], 5), round(center[1], 5), random_number(generator, 4e5))
        expected = []
        for low, high in search_ranges(shape):
            for name in members:
                if low <= scores[name] < high:
                    position = positions[name]
                    distance = shape.distance_meters_within(*position)
                    if distance is not None:
                        printed = format_distance(distance / shape.unit_meters)
                        coordinates = [format_coordinate(degrees) for degrees in position]
                        expected.append([name, printed, scores[name], coordinates])
        words = search_words(shape)
        reply = oracle("GEOSEARCH", "g", *words, "WITHDIST", "WITHHASH", "WITHCOORD")
        assert reply == expected, words
        found_count += len(expected)
    assert found_count > 2000


@pytest.mark.redis_server
def test_edges_and_forged_scores_of_the_real_server(oracle: Oracle) -> None:
    oracle("FLUSHALL")
    positions = [(x, y) for x in (-180.0, 0.0, 180.0) for y in (LATITUDE_MINIMUM, 0.0, 85.05112878)]
    for number, (longitude, latitude) in enumerate(positions):
        oracle("GEOADD", "g", repr(longitude), repr(latitude), number)
        reply = oracle("ZSCORE", "g", number)
        assert isinstance(reply, bytes)
        assert float(reply) == encode_score(longitude, latitude)
    forged = ["0", "-1", "1e30", "-1e30", "inf", "-inf", "9223372036854775808", "0.5", "1e19"]
    for text in forged:
        oracle("ZADD", "g", text, "f")
        position = decode_score(float(text))
        coordinates = [format_coordinate(degrees) for degrees in position]
        assert oracle("GEOPOS", "g", "f") == [coordinates], text
        assert oracle("GEOHASH", "g", "f") == [geohash_text(float(text))], text
        other = decode_score(encode_score(0.0, 0.0))
        expected = format_distance(distance_meters(*other, *position))
        assert oracle("GEODIST", "g", "4", "f") == expected, text


@pytest.mark.redis_server
@pytest.mark.slow
def test_hashes_and_distances_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(85)
    oracle("FLUSHALL")
    for _ in range(300):
        places = [
            (round(generator.uniform(-180, 180), 7), round(generator.uniform(-85, 85), 7))
            for _ in range(2)
        ]
        (a, b), (c, d) = places
        oracle("GEOADD", "g", repr(a), repr(b), "p", repr(c), repr(d), "q")
        scores = [encode_score(*place) for place in places]
        assert oracle("GEOHASH", "g", "p", "q") == [geohash_text(score) for score in scores]
        distance = distance_meters(*decode_score(scores[0]), *decode_score(scores[1]))
        for unit in ("m", "km", "ft", "mi"):
            meters = unit_in_meters(unit.encode())
            assert meters is not None
            assert oracle("GEODIST", "g", "p", "q", unit) == format_distance(distance / meters)
