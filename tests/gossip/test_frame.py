"""Frames out of a stream: however it is cut, and however much it promises."""

import struct

import pytest

from clustrio.gossip import limits
from clustrio.gossip.frame import NEED_DATA, FrameLimits, FrameReader
from clustrio.gossip.messages import Ping, Publish
from clustrio.gossip.wire import BadPacket, Reason, encode

from .test_wire import ALL_FRAMES, ENTRY, GOLDEN_FRAMES, HEADER

DEFAULT = FrameLimits()
STRANGER = FrameLimits(is_stranger=True)
PING, PONG, MEET, FAIL, PUBLISH, AUTH_REQUEST, UPDATE, MODULE, SHARD, LIGHT = (
    *(0, 1, 2, 3, 4, 5, 7, 9, 10),
    0x8000,
)


def frames_of(reader: FrameReader, chunk: bytes) -> list[bytes]:
    reader.feed(chunk)
    frames = []
    while (frame := reader.next_frame()) is not NEED_DATA:
        frames.append(frame)
    return frames


def prefix(length: int, type_number: int, version: int = 1) -> bytes:
    return struct.pack(">4sIHHHH", b"RCmb", length, version, 6379, type_number, 0)


@pytest.mark.parametrize("name", ALL_FRAMES)
def test_a_frame_whole(name: str) -> None:
    reader = FrameReader(DEFAULT)
    assert frames_of(reader, ALL_FRAMES[name]) == [ALL_FRAMES[name]]
    assert reader.buffered_bytes == 0


@pytest.mark.parametrize("name", ALL_FRAMES)
def test_a_frame_byte_by_byte(name: str) -> None:
    frame = ALL_FRAMES[name]
    reader = FrameReader(DEFAULT)
    for offset in range(len(frame) - 1):
        assert frames_of(reader, frame[offset : offset + 1]) == []
    assert frames_of(reader, frame[-1:]) == [frame]


@pytest.mark.parametrize("name", ALL_FRAMES)
@pytest.mark.parametrize("rest", [b"R", prefix(2256, PING), ALL_FRAMES["publish"][:-1]])
def test_a_frame_with_a_trailing_rest(name: str, rest: bytes) -> None:
    reader = FrameReader(DEFAULT)
    assert frames_of(reader, ALL_FRAMES[name] + rest) == [ALL_FRAMES[name]]
    assert reader.buffered_bytes == len(rest)


def test_a_whole_conversation_in_pieces_of_every_size() -> None:
    frames = list(GOLDEN_FRAMES.values())
    stream = b"".join(frames)
    for piece_bytes in (7, 1000, 2256, 2257, 9000, len(stream)):
        reader = FrameReader(DEFAULT)
        got = []
        for start in range(0, len(stream), piece_bytes):
            got += frames_of(reader, stream[start : start + piece_bytes])
        assert got == frames


def test_feeding_takes_any_buffer_and_keeps_no_reference() -> None:
    frame = ALL_FRAMES["ping"]
    for chunk in (bytearray(frame), memoryview(frame)):
        reader = FrameReader(DEFAULT)
        reader.feed(chunk)
        if isinstance(chunk, bytearray):
            chunk[:] = bytes(len(chunk))
        assert reader.next_frame() == frame


def test_feeding_before_draining_is_a_mistake() -> None:
    reader = FrameReader(DEFAULT)
    reader.feed(b"RC")
    with pytest.raises(AssertionError):
        reader.feed(b"mb")


LARGEST_HEARTBEAT = DEFAULT.max_frame_bytes(PING)
LARGEST_PUBLISH = limits.HEADER_BYTES + 8 + 2 * limits.DEFAULT_MAX_BULK_BYTES

REFUSED_EARLY: dict[str, tuple[bytes, Reason]] = {
    "first byte": (b"r", Reason.BAD_SIGNATURE),
    "http": (b"G", Reason.BAD_SIGNATURE),
    "fourth byte": (b"RCmB", Reason.BAD_SIGNATURE),
    "length 0 at 8 bytes": (prefix(0, PING)[:8], Reason.TOO_SHORT),
    "length 15 at 8 bytes": (prefix(15, PING)[:8], Reason.TOO_SHORT),
    "version at 10 bytes": (prefix(2256, PING, version=2)[:10], Reason.BAD_VERSION),
    "no room for a header": (prefix(2255, PING), Reason.TOO_SHORT),
    "ping over the limit": (prefix(LARGEST_HEARTBEAT + 1, PING), Reason.OVER_LIMIT),
    "4 GiB of ping": (prefix(0xFFFF_FFFF, PING), Reason.OVER_LIMIT),
    "4 GiB of meet": (prefix(0xFFFF_FFFF, MEET), Reason.OVER_LIMIT),
    "4 GiB of an unknown type": (prefix(0xFFFF_FFFF, 77), Reason.OVER_LIMIT),
    "fail with a tail": (prefix(2297, FAIL), Reason.OVER_LIMIT),
    "auth request with a tail": (prefix(2257, AUTH_REQUEST), Reason.OVER_LIMIT),
    "update with a tail": (prefix(4353, UPDATE), Reason.OVER_LIMIT),
    "publish over the limit": (prefix(LARGEST_PUBLISH + 1, PUBLISH), Reason.OVER_LIMIT),
    "light publish over the limit": (
        prefix(LARGEST_PUBLISH + 1, PUBLISH | LIGHT),
        Reason.OVER_LIMIT,
    ),
}


@pytest.mark.parametrize("name", REFUSED_EARLY)
@pytest.mark.parametrize("byte_by_byte", [False, True])
def test_a_bad_prefix_is_refused_before_more_is_read(name: str, byte_by_byte: bool) -> None:
    start, reason = REFUSED_EARLY[name]
    reader = FrameReader(DEFAULT)
    if byte_by_byte:
        for offset in range(len(start) - 1):
            assert frames_of(reader, start[offset : offset + 1]) == []
        start = start[-1:]
    reader.feed(start)
    with pytest.raises(BadPacket) as caught:
        reader.next_frame()
    assert caught.value.reason is reason
    assert reader.buffered_bytes == 0


def test_a_broken_stream_stays_broken_and_holds_nothing() -> None:
    reader = FrameReader(DEFAULT)
    good = ALL_FRAMES["ping"]
    reader.feed(good + b"junk" + good)
    assert reader.next_frame() == good
    for _ in range(3):
        with pytest.raises(BadPacket):
            reader.next_frame()
        reader.feed(good)
        assert reader.buffered_bytes == 0


@pytest.mark.parametrize(
    ("frame_limits", "length", "type_number"),
    [
        (DEFAULT, LARGEST_HEARTBEAT, PING),
        (DEFAULT, LARGEST_PUBLISH, PUBLISH),
        (DEFAULT, LARGEST_PUBLISH, SHARD),
        (DEFAULT, LARGEST_PUBLISH, MODULE),
        (DEFAULT, 16, PUBLISH | LIGHT),
        (FrameLimits(known_node_count=1000), limits.HEADER_BYTES + 2000 * 104, PONG),
        (FrameLimits(max_bulk_bytes=10), limits.HEADER_BYTES + 28, PUBLISH),
        (STRANGER, limits.HEADER_BYTES + 1000 * 104, MEET),
    ],
)
def test_the_limits_let_through_what_they_must(
    frame_limits: FrameLimits, length: int, type_number: int
) -> None:
    reader = FrameReader(frame_limits)
    assert frames_of(reader, prefix(length, type_number)[: length - 1]) == []


@pytest.mark.parametrize(
    ("frame_limits", "length", "type_number"),
    [
        (FrameLimits(max_bulk_bytes=10), limits.HEADER_BYTES + 29, PUBLISH),
        (STRANGER, limits.MAX_STRANGER_FRAME_BYTES + 1, PUBLISH),
        (STRANGER, limits.MAX_STRANGER_FRAME_BYTES + 1, MEET),
    ],
)
def test_the_limits_stop_what_they_must(
    frame_limits: FrameLimits, length: int, type_number: int
) -> None:
    reader = FrameReader(frame_limits)
    reader.feed(prefix(length, type_number))
    with pytest.raises(BadPacket) as caught:
        reader.next_frame()
    assert caught.value.reason is Reason.OVER_LIMIT


def test_the_limits_follow_the_cluster() -> None:
    large = encode(Ping(HEADER, (ENTRY,) * 1500))
    reader = FrameReader(DEFAULT)
    reader.limits = FrameLimits(known_node_count=1000)
    assert frames_of(reader, large) == [large]


def test_memory_is_bounded_by_one_frame_and_one_chunk() -> None:
    frame = encode(Publish(HEADER, b"c", b"x" * 100_000))
    chunk_bytes = 4096
    stream = frame * 5
    reader = FrameReader(FrameLimits(max_bulk_bytes=100_000))
    most = 0
    for start in range(0, len(stream), chunk_bytes):
        frames_of(reader, stream[start : start + chunk_bytes])
        most = max(most, reader.buffered_bytes)
    assert len(frame) - chunk_bytes <= most <= len(frame)
