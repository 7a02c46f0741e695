"""The bus codec against frames of a real redis-server 7.0.15, and against what must be refused.

`tests/data/wire/*.bin` were recorded by a relay between real nodes; `index.json` holds their fields
as read at the offsets of the protocol, without this codec.
"""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from clustrio.gossip import limits
from clustrio.gossip.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    ForgottenNode,
    GossipEntry,
    Header,
    Heartbeat,
    Hostname,
    HumanNodename,
    Ignored,
    Meet,
    Message,
    MessageFlag,
    MfStart,
    NodeFlag,
    Ping,
    Pong,
    Publish,
    ShardId,
    UnknownExtension,
    Update,
    message_type,
    slot_ranges,
)
from clustrio.gossip.wire import BadPacket, Reason, decode_untrusted, encode

DATA = Path(__file__).parent.parent / "data" / "wire"
INDEX: dict[str, dict[str, Any]] = json.loads((DATA / "index.json").read_text())
GOLDEN_FRAMES = {name: (DATA / f"{name}.bin").read_bytes() for name in INDEX}

ID_A, ID_B, ID_C = "a" * 40, "0123456789" * 4, "f0" * 20
SOME_SLOTS = bytes([0b0000_0001]) + bytes(2046) + bytes([0b1000_0000])
HEADER = Header(
    sender=ID_A,
    current_epoch=limits.MAX_EPOCH,
    config_epoch=7,
    offset=limits.MAX_REPLICATION_OFFSET,
    port=6379,
    cport=16379,
    flags=NodeFlag.REPLICA | NodeFlag.MYSELF | 0x8000,
    ip="fe80:1234:5678:9abc:def0:1234:5678:9abc%eth0",
    pport=6380,
    cluster_ok=False,
    message_flags=MessageFlag.PAUSED,
    slots=SOME_SLOTS,
    replica_of=ID_B,
)
EXTENDED = evolve(HEADER, message_flags=MessageFlag.PAUSED | MessageFlag.EXT_DATA)
ENTRY = GossipEntry(ID_B, 1, 0xFFFF_FFFF, "10.0.0.1", 65535, 0, NodeFlag.PFAIL, 3)
EXTENSIONS = (
    Hostname("node-1.example.com"),
    Hostname(""),
    HumanNodename("shard_1/left"),
    ForgottenNode(ID_C, 60),
    ShardId(ID_B),
    UnknownExtension(9, b""),
    UnknownExtension(500, b"12345678"),
)
MESSAGES: dict[str, Message] = {
    "ping": Ping(HEADER, (ENTRY, evolve(ENTRY, ip="", flags=NodeFlag.NOADDR))),
    "ping with a question": Ping(evolve(HEADER, asks=255)),
    "pong with a promise": Pong(evolve(HEADER, promises=1)),
    "pong with nothing": Pong(evolve(HEADER, replica_of=None, ip="", cluster_ok=True)),
    "meet with all extensions": Meet(EXTENDED, (ENTRY,) * 3, EXTENSIONS),
    "ping that only says it understands extensions": Ping(EXTENDED, (ENTRY,)),
    "fail": Fail(HEADER, ID_C),
    "publish": Publish(HEADER, b"news", b"\x00\xff\r\n"),
    "publish of nothing": Publish(HEADER, b"", b""),
    "publish to a shard": Publish(HEADER, b"c", b"m", sharded=True),
    "light publish": Publish(None, b"c", b"m"),
    "light publish to a shard": Publish(None, b"c", b"", sharded=True),
    "auth request": FailoverAuthRequest(evolve(HEADER, message_flags=MessageFlag.FORCEACK)),
    "auth ack": FailoverAuthAck(HEADER),
    "update": Update(HEADER, 9, ID_C, SOME_SLOTS),
    "mfstart": MfStart(HEADER),
    "module": Ignored(HEADER, 9, struct.pack(">QIB", 77, 2, 5) + b"xy"),
    "light module": Ignored(None, 9, struct.pack(">QIB", 77, 0, 5)),
    "unknown type": Ignored(HEADER, 4000, b"anything"),
}
ALL_FRAMES = GOLDEN_FRAMES | {name: encode(message) for name, message in MESSAGES.items()}


def test_questions_and_promises_are_where_redis_writes_zeros() -> None:
    plain = encode(Pong(HEADER))
    asked = encode(Pong(evolve(HEADER, asks=9)))
    promised = encode(Pong(evolve(HEADER, promises=9)))
    assert asked == plain[:2254] + b"\x09\x00" + plain[2256:]
    assert promised == plain[:2254] + b"\x00\x09" + plain[2256:]
    assert {frame[2254:2256] for frame in GOLDEN_FRAMES.values()} == {bytes(2)}


@pytest.mark.parametrize("name", GOLDEN_FRAMES)
def test_what_redis_sends_is_read_field_by_field(name: str) -> None:
    expected = INDEX[name]
    message = decode_untrusted(GOLDEN_FRAMES[name])
    header = message.header
    assert header is not None
    assert message_type(message) == expected["type"]
    for field in ("sender", "current_epoch", "config_epoch", "offset", "port", "pport", "cport"):
        assert getattr(header, field) == expected[field], field
    assert (header.ip, header.flags) == (expected["ip"], expected["flags"])
    assert header.cluster_ok is (expected["state"] == 0)
    assert header.message_flags == expected["message_flags"]
    assert (header.replica_of or "") == expected["replica_of"]
    assert [list(run) for run in slot_ranges(header.slots)] == expected["slots"]
    match message:
        case Ping() | Pong() | Meet():
            gossip = [
                [
                    e.node_id,
                    e.ping_sent_s,
                    e.pong_received_s,
                    e.ip,
                    e.port,
                    e.cport,
                    e.flags,
                    e.pport,
                ]
                for e in message.gossip
            ]
            assert gossip == expected["gossip"]
            names = [
                bytes.fromhex(body).rstrip(b"\0").decode() for _, body in expected["extensions"]
            ]
            assert message.extensions == tuple(Hostname(name) for name in names)
        case Fail():
            assert message.node_id == expected["node_id"]
        case Publish():
            assert message.channel.hex() == expected["channel"]
            assert message.message.hex() == expected["message"]
            assert message.sharded is (expected["type"] == 10)
            assert not message.light
        case Update():
            ranges = [list(run) for run in slot_ranges(message.slots)]
            assert [message.config_epoch, message.node_id, ranges] == expected["update"]


def test_every_type_that_redis_sends_was_recorded() -> None:
    types = {type(decode_untrusted(frame)) for frame in GOLDEN_FRAMES.values()}
    assert types == set(Message.__args__) - {Ignored}


@pytest.mark.parametrize("name", GOLDEN_FRAMES)
def test_what_redis_sends_is_written_back_byte_for_byte(name: str) -> None:
    frame = GOLDEN_FRAMES[name]
    assert encode(decode_untrusted(frame)) == frame


@pytest.mark.parametrize("name", MESSAGES)
def test_what_we_send_is_read_back_equal(name: str) -> None:
    message = MESSAGES[name]
    assert decode_untrusted(encode(message)) == message


def test_extensions_bring_their_flag() -> None:
    bare = evolve(HEADER, message_flags=MessageFlag.NONE)
    decoded = decode_untrusted(encode(Ping(bare, (), (Hostname("h"),))))
    assert isinstance(decoded, Ping)
    assert decoded.header.message_flags == MessageFlag.EXT_DATA
    assert decoded.extensions == (Hostname("h"),)


def test_extension_count_without_the_flag_means_nothing() -> None:
    frame = patched(encode(Ping(HEADER)), 2214, ">H", 5)
    decoded = decode_untrusted(frame)
    assert isinstance(decoded, Heartbeat)
    assert decoded.extensions == ()


def test_a_nickname_that_cannot_be_stored_is_kept_raw() -> None:
    extension = UnknownExtension(1, b"a,b=c\n\0\0")
    decoded = decode_untrusted(encode(Ping(EXTENDED, (), (extension,))))
    assert isinstance(decoded, Ping)
    assert decoded.extensions == (extension,)


def test_longer_extensions_of_later_versions_are_understood() -> None:
    longer = UnknownExtension(3, ID_B.encode() + b"and more")
    decoded = decode_untrusted(encode(Ping(EXTENDED, (), (longer,))))
    assert isinstance(decoded, Ping)
    assert decoded.extensions == (ShardId(ID_B),)


def patched(frame: bytes, offset: int, field_format: str, value: int | bytes) -> bytes:
    changed = bytearray(frame)
    struct.pack_into(field_format, changed, offset, value)
    return bytes(changed)


def resized(frame: bytes, size_bytes: int) -> bytes:
    """Cut or filled with zeros to `size_bytes`, its length field saying so."""
    return patched(frame[:size_bytes].ljust(size_bytes, b"\0"), 4, ">I", size_bytes)


def extended(raw_extensions: bytes, count: int = 1) -> bytes:
    """A PING with one gossip entry and these bytes behind it."""
    frame = encode(Ping(EXTENDED, (ENTRY,)))
    return patched(resized(frame, len(frame)) + raw_extensions, 2214, ">H", count)


def with_length(frame: bytes) -> bytes:
    return patched(frame, 4, ">I", len(frame))


def raw_extension(length: int, type_number: int, body: bytes) -> bytes:
    return struct.pack(">IHH", length, type_number, 0) + body


PING, FAIL, UPDATE = (encode(MESSAGES[name]) for name in ("ping", "fail", "update"))
PUBLISH, LIGHT = (encode(MESSAGES[name]) for name in ("publish", "light publish"))
AUTH, MODULE = (encode(MESSAGES[name]) for name in ("auth request", "module"))
NEVER_ASCII, UPPER_CASE = b"\xff" * 40, b"A" * 40

REJECTED: dict[str, tuple[bytes, Reason]] = {
    "nothing": (b"", Reason.TOO_SHORT),
    "15 bytes": (PING[:15], Reason.TOO_SHORT),
    "only a prefix": (resized(PING, 16), Reason.TOO_SHORT),
    "a header cut short": (resized(AUTH, 2255), Reason.TOO_SHORT),
    "signature": (patched(PING, 0, ">4s", b"RCmB"), Reason.BAD_SIGNATURE),
    "version 0": (patched(PING, 8, ">H", 0), Reason.BAD_VERSION),
    "version 2": (patched(PING, 8, ">H", 2), Reason.BAD_VERSION),
    "length says less": (patched(PING, 4, ">I", len(PING) - 1), Reason.LENGTH_DIFFERS),
    "length says more": (patched(PING, 4, ">I", 0xFFFF_FFFF), Reason.LENGTH_DIFFERS),
    "light ping": (patched(PING, 12, ">H", 0x8000), Reason.LIGHT_NOT_ALLOWED),
    "light unknown": (patched(LIGHT, 12, ">H", 0x8000 | 77), Reason.LIGHT_NOT_ALLOWED),
    "current epoch": (patched(PING, 16, ">Q", 1 << 63), Reason.EPOCH_TOO_LARGE),
    "config epoch": (patched(PING, 24, ">Q", (1 << 64) - 1), Reason.EPOCH_TOO_LARGE),
    "update's epoch": (patched(UPDATE, 2256, ">Q", 1 << 63), Reason.EPOCH_TOO_LARGE),
    "offset": (patched(PING, 32, ">Q", (1 << 64) - 1), Reason.OFFSET_TOO_LARGE),
    "sender of zeros": (patched(PING, 40, ">40s", bytes(40)), Reason.BAD_NODE_ID),
    "sender in capitals": (patched(PING, 40, ">40s", UPPER_CASE), Reason.BAD_NODE_ID),
    "primary's id": (patched(PING, 2128, ">40s", NEVER_ASCII), Reason.BAD_NODE_ID),
    "gossiped id": (patched(PING, 2256, ">40s", NEVER_ASCII), Reason.BAD_NODE_ID),
    "failed node's id": (patched(FAIL, 2256, ">40s", b"\n" * 40), Reason.BAD_NODE_ID),
    "updated node's id": (patched(UPDATE, 2264, ">40s", bytes(40)), Reason.BAD_NODE_ID),
    "ip with a line break": (patched(PING, 2168, ">46s", b"1.2.3.4\n"), Reason.BAD_ADDRESS),
    "ip without an end": (patched(PING, 2168, ">46s", b"1" * 46), Reason.BAD_ADDRESS),
    "gossiped ip": (patched(PING, 2304, ">46s", b"1.2.3.4 x"), Reason.BAD_ADDRESS),
    "gossip that is not there": (patched(PING, 14, ">H", 100), Reason.BODY_LENGTH_WRONG),
    "gossip for nothing": (patched(PING, 14, ">H", 1), Reason.BODY_LENGTH_WRONG),
    "gossip that is not there, nor its extension": (
        patched(extended(raw_extension(16, 7, bytes(8))), 14, ">H", 100),
        Reason.BODY_LENGTH_WRONG,
    ),
    "bytes behind the gossip": (resized(PING, len(PING) + 8), Reason.BODY_LENGTH_WRONG),
    "fail without a node": (resized(FAIL, 2256), Reason.BODY_LENGTH_WRONG),
    "fail and more": (resized(FAIL, 2297), Reason.BODY_LENGTH_WRONG),
    "update and less": (resized(UPDATE, 4351), Reason.BODY_LENGTH_WRONG),
    "auth request and more": (resized(AUTH, 2257), Reason.BODY_LENGTH_WRONG),
    "publish without lengths": (resized(PUBLISH, 2263), Reason.BODY_LENGTH_WRONG),
    "light publish without lengths": (resized(LIGHT, 16), Reason.BODY_LENGTH_WRONG),
    # In 32 bits these two lengths add up to the right sum.
    "publish that wraps": (
        patched(patched(PUBLISH, 2256, ">I", 0xFFFF_FFFF), 2260, ">I", 9),
        Reason.BODY_LENGTH_WRONG,
    ),
    "light publish that wraps": (
        patched(patched(LIGHT, 16, ">I", 0xFFFF_FFFF), 20, ">I", 3),
        Reason.BODY_LENGTH_WRONG,
    ),
    "module without a prefix": (resized(MODULE, 2268), Reason.BODY_LENGTH_WRONG),
    "module and more": (resized(MODULE, len(MODULE) + 1), Reason.BODY_LENGTH_WRONG),
    "extensions that are not there": (extended(b"", 65535), Reason.EXTENSION_OVERRUN),
    "half an extension's prefix": (extended(bytes(4)), Reason.EXTENSION_OVERRUN),
    "extension of 2,000,000,000 bytes": (
        extended(raw_extension(2_000_000_000, 0, bytes(8))),
        Reason.EXTENSION_OVERRUN,
    ),
    "extension of length 0": (extended(raw_extension(0, 0, b"")), Reason.EXTENSION_TOO_SHORT),
    "unknown extension of length 0": (
        extended(raw_extension(0, 7, b""), 65535),
        Reason.EXTENSION_TOO_SHORT,
    ),
    "extension of 15 bytes": (
        extended(raw_extension(15, 0, b"host\0\0\0")),
        Reason.EXTENSION_MISALIGNED,
    ),
    "bytes behind the extensions": (
        extended(raw_extension(16, 7, bytes(16))),
        Reason.BODY_LENGTH_WRONG,
    ),
    **{
        f"empty extension of type {type_number}": (
            extended(raw_extension(8, type_number, b"")),
            Reason.EXTENSION_TOO_SHORT,
        )
        for type_number in range(4)
    },
    "host name without an end": (
        extended(raw_extension(16, 0, b"hostname")),
        Reason.EXTENSION_TOO_SHORT,
    ),
    "host name with a comma": (
        extended(raw_extension(16, 0, b"a,b=c\0\0\0")),
        Reason.BAD_HOSTNAME,
    ),
    "host name of 256 characters": (
        extended(raw_extension(272, 0, b"h" * 256 + bytes(8))),
        Reason.BAD_HOSTNAME,
    ),
    "shard id": (extended(raw_extension(48, 3, bytes(40))), Reason.BAD_NODE_ID),
    "forgotten node's id": (extended(raw_extension(56, 2, bytes(48))), Reason.BAD_NODE_ID),
    "forgotten for ever": (
        extended(raw_extension(56, 2, b"a" * 40 + b"\xff" * 8)),
        Reason.TTL_TOO_LARGE,
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_bad_packet_is_refused_with_its_reason(name: str) -> None:
    frame, reason = REJECTED[name]
    # Where bytes were added the length field must follow, or it would hide what is tested.
    if reason is not Reason.LENGTH_DIFFERS and len(frame) >= 16:
        frame = with_length(frame)
    with pytest.raises(BadPacket) as caught:
        decode_untrusted(frame)
    assert caught.value.reason is reason
    assert reason.value in str(caught.value)


def test_every_reason_is_reached() -> None:
    reached = {reason for _, reason in REJECTED.values()}
    # A frame over its limit never becomes a frame: test_frame has it.
    assert reached == set(Reason) - {Reason.OVER_LIMIT}


@pytest.mark.parametrize(
    "message",
    [
        Fail(HEADER, "short"),
        Fail(HEADER, "A" * 40),
        Ping(evolve(HEADER, slots=b"")),
        Ping(evolve(HEADER, ip="1.2.3.4\n")),
        Ping(evolve(HEADER, ip="1" * 46)),
        Ping(HEADER, (), (Hostname("a b"),)),
        Ping(HEADER, (), (HumanNodename("a,b"),)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_record_that_no_peer_could_read_is_not_sent(message: Message) -> None:
    with pytest.raises(ValueError, match=r"not a|bitmap"):
        encode(message)
