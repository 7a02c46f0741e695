"""The binary cluster bus protocol of Redis 7 ('RCmb', version 1): messages to bytes and back.

Owns the layout. Rules:

* Every field is declared once, with the offset it must have; a slip fails at import.
* `decode_untrusted` gives a message or raises `BadPacket`, never anything else, whatever the bytes.
* A length is computed from the content, in Python's unbounded integers, and must equal the
  frame's, before the content is read. No count is believed because the sender says so.
* `encode(decode_untrusted(x)) == x` for whatever Redis sends. Bytes that carry no meaning
  (padding, what follows the NUL of an address) are written as zeros.

A refused packet means this packet only: the frame was whole, so the link may live on.
"""

import struct
from collections.abc import Callable
from typing import Final

from . import limits
from .extensions import (
    decode_extensions_untrusted,
    encode_extension,
    node_id_bytes,
    node_id_untrusted,
)
from .messages import (
    NO_SLOTS,
    BadPacket,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    GossipEntry,
    Header,
    Heartbeat,
    Ignored,
    Meet,
    Message,
    MessageFlag,
    MessageType,
    MfStart,
    Ping,
    Pong,
    Publish,
    Reason,
    Update,
    message_type,
)

__all__ = ["LIGHT_BIT", "BadPacket", "Reason", "decode_untrusted", "encode"]

LIGHT_BIT: Final = 0x8000
"""In the type field (Valkey 8.1 and later): a 16-byte header, nothing about the sender."""

_NO_NODE: Final = bytes(limits.NODE_ID_CHARS)


def _layout(size_bytes: int, *fields: tuple[str, str, int]) -> struct.Struct:
    """A big-endian struct out of (name, format, offset); the offsets must follow by themselves."""
    text = ">"
    for name, field_format, offset in fields:
        assert struct.calcsize(text) == offset, name
        text += field_format
    assert struct.calcsize(text) == size_bytes
    return struct.Struct(text)


_PREFIX: Final = _layout(
    limits.PREFIX_BYTES,
    ("signature", "4s", 0),
    ("length", "I", 4),
    ("version", "H", 8),
    ("port", "H", 10),
    ("type", "H", 12),
    ("count", "H", 14),
)
_HEADER: Final = _layout(
    limits.HEADER_BYTES,
    ("signature", "4s", 0),
    ("length", "I", 4),
    ("version", "H", 8),
    ("port", "H", 10),
    ("type", "H", 12),
    ("count", "H", 14),
    ("current_epoch", "Q", 16),
    ("config_epoch", "Q", 24),
    ("offset", "Q", 32),
    ("sender", "40s", 40),
    ("slots", "2048s", 80),
    ("replica_of", "40s", 2128),
    ("ip", "46s", 2168),
    ("extension_count", "H", 2214),
    ("unused", "30x", 2216),
    ("pport", "H", 2246),
    ("cport", "H", 2248),
    ("flags", "H", 2250),
    ("state", "B", 2252),
    ("message_flags", "B", 2253),
    # Two more bytes of message flags, which neither Redis nor Valkey reads, or writes but as 0.
    ("asks", "B", 2254),
    ("promises", "B", 2255),
)
_GOSSIP: Final = _layout(
    limits.GOSSIP_ENTRY_BYTES,
    ("node_id", "40s", 0),
    ("ping_sent", "I", 40),
    ("pong_received", "I", 44),
    ("ip", "46s", 48),
    ("port", "H", 94),
    ("cport", "H", 96),
    ("flags", "H", 98),
    ("pport", "H", 100),
    ("unused", "2x", 102),
)
_UPDATE: Final = _layout(
    limits.UPDATE_BODY_BYTES,
    ("config_epoch", "Q", 0),
    ("node_id", "40s", 8),
    ("slots", "2048s", 48),
)
_PUBLISH: Final = _layout(
    limits.PUBLISH_LENGTHS_BYTES,
    ("channel_length", "I", 0),
    ("message_length", "I", 4),
)
_MODULE: Final = _layout(
    limits.MODULE_PREFIX_BYTES,
    ("module_id", "Q", 0),
    ("length", "I", 8),
    ("type", "B", 12),
)


# ---- encoding -----------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The message as one frame.

    A record that no frame can hold is our own mistake: ValueError, or struct.error for a number.
    """
    body = _encode_body(message)
    type_number = message_type(message)
    if message.header is None:
        length = limits.LIGHT_HEADER_BYTES + len(body)
        return (
            _PREFIX.pack(
                limits.SIGNATURE, length, limits.PROTOCOL_VERSION, 0, type_number | LIGHT_BIT, 0
            )
            + body
        )
    gossip_count = extension_count = 0
    if isinstance(message, Heartbeat):
        gossip_count, extension_count = len(message.gossip), len(message.extensions)
    length = limits.HEADER_BYTES + len(body)
    return _encode_header(message.header, type_number, length, gossip_count, extension_count) + body


def _encode_body(message: Message) -> bytes:
    match message:
        case Ping() | Pong() | Meet():
            parts = [_encode_gossip(entry) for entry in message.gossip]
            parts += [encode_extension(extension) for extension in message.extensions]
            return b"".join(parts)
        case Fail():
            return node_id_bytes(message.node_id)
        case Publish():
            lengths = _PUBLISH.pack(len(message.channel), len(message.message))
            return b"".join((lengths, message.channel, message.message))
        case Update():
            return _UPDATE.pack(
                message.config_epoch, node_id_bytes(message.node_id), _slots_bytes(message.slots)
            )
        case Ignored():
            return message.body
        case FailoverAuthRequest() | FailoverAuthAck() | MfStart():
            return b""


def _encode_header(
    header: Header, type_number: int, length: int, gossip_count: int, extension_count: int
) -> bytes:
    message_flags = header.message_flags
    if extension_count:
        # Without the flag Redis would take the extensions for a wrong length and drop the packet.
        message_flags |= MessageFlag.EXT_DATA
    return _HEADER.pack(
        limits.SIGNATURE,
        length,
        limits.PROTOCOL_VERSION,
        header.port,
        type_number,
        gossip_count,
        header.current_epoch,
        header.config_epoch,
        header.offset,
        node_id_bytes(header.sender),
        _slots_bytes(header.slots),
        _NO_NODE if header.replica_of is None else node_id_bytes(header.replica_of),
        _ip_bytes(header.ip),
        extension_count,
        header.pport,
        header.cport,
        header.flags,
        0 if header.cluster_ok else 1,
        message_flags,
        header.asks,
        header.promises,
    )


def _encode_gossip(entry: GossipEntry) -> bytes:
    return _GOSSIP.pack(
        node_id_bytes(entry.node_id),
        entry.ping_sent_s,
        entry.pong_received_s,
        _ip_bytes(entry.ip),
        entry.port,
        entry.cport,
        entry.flags,
        entry.pport,
    )


def _slots_bytes(slots: bytes) -> bytes:
    if len(slots) != limits.SLOTS_BITMAP_BYTES:
        raise ValueError(f"a slots bitmap of {len(slots)} bytes")
    return slots


def _ip_bytes(ip: str) -> bytes:
    raw = ip.encode("ascii")
    if len(raw) >= limits.IP_FIELD_BYTES or raw.translate(None, limits.IP_ALPHABET):
        raise ValueError(f"not an address: {ip!r}")
    return raw


# ---- decoding -----------------------------------------------------------------------------------


def decode_untrusted(frame: bytes) -> Message:
    """The message in one whole frame, as `frame.FrameReader` cuts it off the stream."""
    if len(frame) < limits.PREFIX_BYTES:
        raise BadPacket(Reason.TOO_SHORT)
    signature, length, version, _port, type_number, _count = _PREFIX.unpack_from(frame)
    if signature != limits.SIGNATURE:
        raise BadPacket(Reason.BAD_SIGNATURE)
    if length != len(frame):
        raise BadPacket(Reason.LENGTH_DIFFERS)
    if version != limits.PROTOCOL_VERSION:
        raise BadPacket(Reason.BAD_VERSION)
    if type_number & LIGHT_BIT:
        return _decode_light(frame, type_number & ~LIGHT_BIT)
    if length < limits.HEADER_BYTES:
        raise BadPacket(Reason.TOO_SHORT)
    header, gossip_count, extension_count = _decode_header(frame)
    heartbeat_class = _HEARTBEAT_CLASSES.get(type_number)
    if heartbeat_class is not None:
        return _decode_heartbeat(heartbeat_class, header, frame, gossip_count, extension_count)
    decode = _DECODERS.get(type_number)
    if decode is None:
        return Ignored(header, type_number, frame[limits.HEADER_BYTES :])
    return decode(header, frame)


def _decode_header(frame: bytes) -> tuple[Header, int, int]:
    """The header, the number of gossip entries and that of extensions."""
    (
        _signature,
        _length,
        _version,
        port,
        _type_number,
        gossip_count,
        current_epoch,
        config_epoch,
        offset,
        sender,
        slots,
        replica_of,
        ip,
        extension_count,
        pport,
        cport,
        flags,
        state,
        message_flags,
        asks,
        promises,
    ) = _HEADER.unpack_from(frame)
    if current_epoch > limits.MAX_EPOCH or config_epoch > limits.MAX_EPOCH:
        raise BadPacket(Reason.EPOCH_TOO_LARGE)
    if offset > limits.MAX_REPLICATION_OFFSET:
        raise BadPacket(Reason.OFFSET_TOO_LARGE)
    if not message_flags & MessageFlag.EXT_DATA:
        extension_count = 0
    header = Header(
        node_id_untrusted(sender),
        current_epoch,
        config_epoch,
        offset,
        port,
        cport,
        flags,
        _ip_untrusted(ip),
        pport,
        state == 0,
        message_flags,
        # Replicas of nobody and fresh nodes all share the one empty bitmap.
        NO_SLOTS if slots == NO_SLOTS else slots,
        None if replica_of == _NO_NODE else node_id_untrusted(replica_of),
        asks,
        promises,
    )
    return header, gossip_count, extension_count


def _decode_heartbeat(
    heartbeat_class: type[Ping | Pong | Meet],
    header: Header,
    frame: bytes,
    gossip_count: int,
    extension_count: int,
) -> Message:
    gossip_end = limits.HEADER_BYTES + gossip_count * limits.GOSSIP_ENTRY_BYTES
    if gossip_end > len(frame):
        raise BadPacket(Reason.BODY_LENGTH_WRONG)
    # First the extensions: a wrong length is found before the work for the gossip is done.
    extensions = decode_extensions_untrusted(frame, gossip_end, extension_count)
    gossip = [
        GossipEntry(
            node_id_untrusted(node_id),
            ping_sent_s,
            pong_received_s,
            _ip_untrusted(ip),
            port,
            cport,
            flags,
            pport,
        )
        for node_id, ping_sent_s, pong_received_s, ip, port, cport, flags, pport in (
            _GOSSIP.iter_unpack(frame[limits.HEADER_BYTES : gossip_end])
        )
    ]
    return heartbeat_class(header, tuple(gossip), extensions)


def _decode_fail(header: Header, frame: bytes) -> Fail:
    _require_body(frame, limits.NODE_ID_CHARS)
    return Fail(header, node_id_untrusted(frame[limits.HEADER_BYTES :]))


def _decode_publish(header: Header, frame: bytes) -> Publish:
    return _published(header, frame, limits.HEADER_BYTES, sharded=False)


def _decode_publish_shard(header: Header, frame: bytes) -> Publish:
    return _published(header, frame, limits.HEADER_BYTES, sharded=True)


def _decode_auth_request(header: Header, frame: bytes) -> FailoverAuthRequest:
    _require_body(frame, 0)
    return FailoverAuthRequest(header)


def _decode_auth_ack(header: Header, frame: bytes) -> FailoverAuthAck:
    _require_body(frame, 0)
    return FailoverAuthAck(header)


def _decode_update(header: Header, frame: bytes) -> Update:
    _require_body(frame, limits.UPDATE_BODY_BYTES)
    config_epoch, node_id, slots = _UPDATE.unpack_from(frame, limits.HEADER_BYTES)
    if config_epoch > limits.MAX_EPOCH:
        raise BadPacket(Reason.EPOCH_TOO_LARGE)
    return Update(header, config_epoch, node_id_untrusted(node_id), slots)


def _decode_mfstart(header: Header, frame: bytes) -> MfStart:
    _require_body(frame, 0)
    return MfStart(header)


def _decode_module(header: Header, frame: bytes) -> Ignored:
    return _ignored_module(header, frame, limits.HEADER_BYTES)


def _decode_light(frame: bytes, type_number: int) -> Message:
    start = limits.LIGHT_HEADER_BYTES
    match type_number:
        case MessageType.PUBLISH:
            return _published(None, frame, start, sharded=False)
        case MessageType.PUBLISHSHARD:
            return _published(None, frame, start, sharded=True)
        case MessageType.MODULE:
            return _ignored_module(None, frame, start)
        case _:
            raise BadPacket(Reason.LIGHT_NOT_ALLOWED)


def _published(header: Header | None, frame: bytes, start: int, *, sharded: bool) -> Publish:
    channel_start = start + _PUBLISH.size
    if len(frame) < channel_start:
        raise BadPacket(Reason.BODY_LENGTH_WRONG)
    channel_length, message_length = _PUBLISH.unpack_from(frame, start)
    message_start = channel_start + channel_length
    if message_start + message_length != len(frame):
        raise BadPacket(Reason.BODY_LENGTH_WRONG)
    return Publish(header, frame[channel_start:message_start], frame[message_start:], sharded)


def _ignored_module(header: Header | None, frame: bytes, start: int) -> Ignored:
    if len(frame) < start + _MODULE.size:
        raise BadPacket(Reason.BODY_LENGTH_WRONG)
    _module_id, length, _type = _MODULE.unpack_from(frame, start)
    if start + _MODULE.size + length != len(frame):
        raise BadPacket(Reason.BODY_LENGTH_WRONG)
    return Ignored(header, MessageType.MODULE, frame[start:])


def _require_body(frame: bytes, body_bytes: int) -> None:
    if len(frame) != limits.HEADER_BYTES + body_bytes:
        raise BadPacket(Reason.BODY_LENGTH_WRONG)


def _ip_untrusted(raw: bytes) -> str:
    text, terminator, _rest = raw.partition(b"\0")
    if not terminator or text.translate(None, limits.IP_ALPHABET):
        raise BadPacket(Reason.BAD_ADDRESS)
    return text.decode("ascii")


_HEARTBEAT_CLASSES: Final[dict[int, type[Ping | Pong | Meet]]] = {
    MessageType.PING: Ping,
    MessageType.PONG: Pong,
    MessageType.MEET: Meet,
}
_DECODERS: Final[dict[int, Callable[[Header, bytes], Message]]] = {
    MessageType.FAIL: _decode_fail,
    MessageType.PUBLISH: _decode_publish,
    MessageType.FAILOVER_AUTH_REQUEST: _decode_auth_request,
    MessageType.FAILOVER_AUTH_ACK: _decode_auth_ack,
    MessageType.UPDATE: _decode_update,
    MessageType.MFSTART: _decode_mfstart,
    MessageType.MODULE: _decode_module,
    MessageType.PUBLISHSHARD: _decode_publish_shard,
}
