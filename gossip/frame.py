"""Cuts the byte stream of a bus link into whole frames, and refuses what is not worth holding.

Owns the bytes that came in but do not make a frame yet. Rules:

* Each field of the prefix is judged as soon as it is there: the signature byte by byte, the length
  and version at once, the length's limit as soon as the type is known. **Nothing beyond the prefix
  is kept of a frame that is over its limit.**
* Memory is bounded by the limit of one frame plus one `feed`: the owner takes all frames out
  (`next_frame()` until `NEED_DATA`) before it feeds again.
* A stream that broke a rule cannot be trusted to find its next frame: the reader stays broken,
  says the same `BadPacket` for ever, and the link has to be closed. What `wire.decode_untrusted`
  refuses afterwards is a whole frame, and costs only itself.
"""

import enum
import struct
from typing import Final, Literal, TypeAlias

from attrs import frozen

from . import limits
from .messages import BadPacket, MessageType, Reason
from .wire import LIGHT_BIT


class Need(enum.Enum):
    """What the reader says instead of a frame."""

    DATA = "no whole frame yet"


NEED_DATA: Final = Need.DATA
NeedData: TypeAlias = Literal[Need.DATA]

_PREFIX: Final = struct.Struct(">4sIH2xH2x")
assert _PREFIX.size == limits.PREFIX_BYTES

_BODY_BYTES_OF_FIXED: Final[dict[int, int]] = {
    MessageType.FAIL: limits.NODE_ID_CHARS,
    MessageType.FAILOVER_AUTH_REQUEST: 0,
    MessageType.FAILOVER_AUTH_ACK: 0,
    MessageType.UPDATE: limits.UPDATE_BODY_BYTES,
    MessageType.MFSTART: 0,
}
_BULK_TYPES: Final = frozenset(
    {MessageType.PUBLISH, MessageType.PUBLISHSHARD, MessageType.MODULE},
)


@frozen
class FrameLimits:
    """How long a frame may be, by type: what the receiver makes of its own settings and state."""

    known_node_count: int = 0
    max_bulk_bytes: int = limits.DEFAULT_MAX_BULK_BYTES
    """`proto-max-bulk-len`: bounds the channel and the message of a PUBLISH, each."""
    is_stranger: bool = False
    """The peer has not shown yet that it is a member: it may greet, but not make us hold much."""

    def max_frame_bytes(self, type_number: int) -> int:
        """The greatest length that a frame with this type field may announce."""
        base_type = type_number & ~LIGHT_BIT
        body_bytes = _BODY_BYTES_OF_FIXED.get(base_type)
        if body_bytes is not None:
            return limits.HEADER_BYTES + body_bytes
        if self.is_stranger:
            return limits.MAX_STRANGER_FRAME_BYTES
        if base_type in _BULK_TYPES:
            return limits.HEADER_BYTES + limits.PUBLISH_LENGTHS_BYTES + 2 * self.max_bulk_bytes
        # A peer may know nodes that we do not, above all when we are new: twice ours, and a room.
        entry_count = max(limits.MIN_GOSSIP_ENTRIES_ROOM, 2 * self.known_node_count)
        return (
            limits.HEADER_BYTES
            + entry_count * limits.GOSSIP_ENTRY_BYTES
            + limits.EXTENSION_BYTES_ROOM
        )


class FrameReader:
    """One link's incoming bytes: `feed` them, then `next_frame()` until `NEED_DATA`."""

    def __init__(self, frame_limits: FrameLimits) -> None:
        self.limits = frame_limits
        """May be replaced at any time; holds from the next frame that is not yet judged."""
        self._buffer = bytearray()
        self._start = 0
        self._frame_bytes = 0
        """Length of the frame at `_start` once it has been judged; 0 before."""
        self._broken: Reason | None = None
        self._is_drained = True

    @property
    def buffered_bytes(self) -> int:
        """How many bytes are held; once drained, those of the one unfinished frame."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Takes bytes from the link. A broken reader takes none."""
        assert self._is_drained, "take the frames out before feeding more"
        if self._broken is None:
            self._buffer += data
            self._is_drained = False

    def next_frame(self) -> bytes | NeedData:
        """The next whole frame; raises BadPacket, now and ever after, if there can be none."""
        if self._broken is not None:
            raise BadPacket(self._broken)
        if self._frame_bytes == 0:
            self._judge_prefix()
        end = self._start + self._frame_bytes
        if self._frame_bytes == 0 or len(self._buffer) < end:
            self._compact()
            self._is_drained = True
            return NEED_DATA
        with memoryview(self._buffer) as view:
            frame = bytes(view[self._start : end])
        self._start = end
        self._frame_bytes = 0
        return frame

    def _judge_prefix(self) -> None:
        """Sets `_frame_bytes` once the prefix is complete and acceptable."""
        prefix = bytes(self._buffer[self._start : self._start + limits.PREFIX_BYTES])
        if not limits.SIGNATURE.startswith(prefix[:4]):
            self._break(Reason.BAD_SIGNATURE)
        if len(prefix) >= 8 and int.from_bytes(prefix[4:8], "big") < limits.LIGHT_HEADER_BYTES:
            self._break(Reason.TOO_SHORT)
        if len(prefix) >= 10 and int.from_bytes(prefix[8:10], "big") != limits.PROTOCOL_VERSION:
            self._break(Reason.BAD_VERSION)
        if len(prefix) < limits.PREFIX_BYTES:
            return
        _signature, length, _version, type_number = _PREFIX.unpack(prefix)
        if not type_number & LIGHT_BIT and length < limits.HEADER_BYTES:
            self._break(Reason.TOO_SHORT)
        if length > self.limits.max_frame_bytes(type_number):
            self._break(Reason.OVER_LIMIT)
        self._frame_bytes = length

    def _break(self, reason: Reason) -> None:
        self._broken = reason
        self._is_drained = True
        self._buffer = bytearray()
        self._start = 0
        raise BadPacket(reason)

    def _compact(self) -> None:
        """Drops what has been handed out; at most one unfinished frame moves to the front."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
