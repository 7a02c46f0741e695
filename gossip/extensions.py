"""Ping extensions as bytes: what may follow the gossip of a PING, PONG or MEET.

Each is a length (32 bits, itself and padding included), a type (16), two unused bytes and a body,
padded to a multiple of 8. Rules:

* A length is judged before anything is read by it.
* A type that we do not know is kept as it came, so that a relay or a dump loses nothing.
* A host name goes into nodes.conf and into replies, so one that could not be a host name is
  refused. A human name may be anything on its owner's node; one that we could not store is kept
  as an unknown extension: to drop a node's heartbeats for its nickname would cost the node.
"""

import enum
import struct
from collections.abc import Callable
from typing import Final

from . import limits
from .messages import (
    BadPacket,
    Extension,
    ForgottenNode,
    Hostname,
    HumanNodename,
    NodeId,
    Reason,
    ShardId,
    UnknownExtension,
)


class ExtensionType(enum.IntEnum):
    """The type number of an extension."""

    HOSTNAME = 0
    HUMAN_NODENAME = 1
    FORGOTTEN_NODE = 2
    SHARD_ID = 3


ALIGNMENT_BYTES: Final = 8
_PREFIX: Final = struct.Struct(">IHH")
_FORGOTTEN: Final = struct.Struct(f">{limits.NODE_ID_CHARS}sQ")
assert _PREFIX.size == limits.EXTENSION_HEADER_BYTES
assert _FORGOTTEN.size % ALIGNMENT_BYTES == 0


def encode_extension(extension: Extension) -> bytes:
    """One extension with its prefix and padding."""
    match extension:
        case Hostname():
            name = _name_bytes(extension.name, limits.HOSTNAME_ALPHABET)
            return _framed(ExtensionType.HOSTNAME, name + b"\0")
        case HumanNodename():
            name = _name_bytes(extension.name, limits.STORED_NAME_ALPHABET)
            return _framed(ExtensionType.HUMAN_NODENAME, name + b"\0")
        case ForgottenNode():
            body = _FORGOTTEN.pack(node_id_bytes(extension.node_id), extension.ttl_s)
            return _framed(ExtensionType.FORGOTTEN_NODE, body)
        case ShardId():
            return _framed(ExtensionType.SHARD_ID, node_id_bytes(extension.shard_id))
        case UnknownExtension():
            return _framed(extension.type_number, extension.body)


def decode_extensions_untrusted(frame: bytes, start: int, count: int) -> tuple[Extension, ...]:
    """The `count` extensions that fill `frame` from `start` to its end."""
    extensions: list[Extension] = []
    for _ in range(count):
        room_bytes = len(frame) - start
        if room_bytes < limits.EXTENSION_HEADER_BYTES:
            raise BadPacket(Reason.EXTENSION_OVERRUN)
        length, type_number, _unused = _PREFIX.unpack_from(frame, start)
        if length % ALIGNMENT_BYTES != 0:
            raise BadPacket(Reason.EXTENSION_MISALIGNED)
        if length < limits.EXTENSION_HEADER_BYTES:
            raise BadPacket(Reason.EXTENSION_TOO_SHORT)
        if length > room_bytes:
            raise BadPacket(Reason.EXTENSION_OVERRUN)
        body = frame[start + limits.EXTENSION_HEADER_BYTES : start + length]
        decode = _DECODERS.get(type_number)
        extensions.append(UnknownExtension(type_number, body) if decode is None else decode(body))
        start += length
    if start != len(frame):
        raise BadPacket(Reason.BODY_LENGTH_WRONG)
    return tuple(extensions)


def node_id_bytes(node_id: NodeId) -> bytes:
    """A node id for the wire; `struct` would cut or fill a wrong one without a word."""
    raw = node_id.encode("ascii")
    if len(raw) != limits.NODE_ID_CHARS or raw.translate(None, limits.NODE_ID_ALPHABET):
        raise ValueError(f"not a node id: {node_id!r}")
    return raw


def node_id_untrusted(raw: bytes) -> NodeId:
    """The node id in its field of 40 bytes."""
    if raw.translate(None, limits.NODE_ID_ALPHABET):
        raise BadPacket(Reason.BAD_NODE_ID)
    return raw.decode("ascii")


def _name_bytes(name: str, alphabet: bytes) -> bytes:
    raw = name.encode("ascii")
    if len(raw) > limits.MAX_NAME_CHARS or raw.translate(None, alphabet):
        raise ValueError(f"not a name: {name!r}")
    return raw


def _framed(type_number: int, body: bytes) -> bytes:
    """The body with its prefix, padded; the padding counts as a part of the body."""
    body += bytes(-len(body) % ALIGNMENT_BYTES)
    return _PREFIX.pack(limits.EXTENSION_HEADER_BYTES + len(body), type_number, 0) + body


def _decode_hostname(body: bytes) -> Hostname:
    name = _terminated(body)
    if name.translate(None, limits.HOSTNAME_ALPHABET) or len(name) > limits.MAX_NAME_CHARS:
        raise BadPacket(Reason.BAD_HOSTNAME)
    return Hostname(name.decode("ascii"))


def _decode_human_nodename(body: bytes) -> HumanNodename | UnknownExtension:
    name = _terminated(body)
    if name.translate(None, limits.STORED_NAME_ALPHABET) or len(name) > limits.MAX_NAME_CHARS:
        return UnknownExtension(ExtensionType.HUMAN_NODENAME, body)
    return HumanNodename(name.decode("ascii"))


def _decode_forgotten_node(body: bytes) -> ForgottenNode:
    if len(body) < _FORGOTTEN.size:
        raise BadPacket(Reason.EXTENSION_TOO_SHORT)
    raw_id, ttl_s = _FORGOTTEN.unpack_from(body)
    if ttl_s > limits.MAX_TTL_S:
        raise BadPacket(Reason.TTL_TOO_LARGE)
    return ForgottenNode(node_id_untrusted(raw_id), ttl_s)


def _decode_shard_id(body: bytes) -> ShardId:
    if len(body) < limits.NODE_ID_CHARS:
        raise BadPacket(Reason.EXTENSION_TOO_SHORT)
    return ShardId(node_id_untrusted(body[: limits.NODE_ID_CHARS]))


def _terminated(body: bytes) -> bytes:
    """The text before the NUL that must end it."""
    text, terminator, _padding = body.partition(b"\0")
    if not terminator:
        raise BadPacket(Reason.EXTENSION_TOO_SHORT)
    return text


_DECODERS: Final[dict[int, Callable[[bytes], Extension]]] = {
    ExtensionType.HOSTNAME: _decode_hostname,
    ExtensionType.HUMAN_NODENAME: _decode_human_nodename,
    ExtensionType.FORGOTTEN_NODE: _decode_forgotten_node,
    ExtensionType.SHARD_ID: _decode_shard_id,
}
