"""Single values as DUMP gives and RESTORE takes them: type, value, version, checksum."""

from collections.abc import Iterable

from ...database import Value
from ...values.limits import DEFAULT_LIMITS, CollectionLimits
from .checksum import checksum
from .errors import CorruptSnapshotError, DamagedError, IncompleteError
from .lengths import Cursor, encode_string
from .opcodes import (
    CHECKSUM_BYTES,
    FIELD_EXPIRY_VERSION,
    FUNCTION,
    FUNCTION_PRE_GA,
    NEWEST_VERSION,
    STRING,
    WRITTEN_VERSION,
)
from .values_read import read_value
from .values_write import encode_body, needs_field_expiry

_VERSION_BYTES = 2
_WRITTEN = WRITTEN_VERSION.to_bytes(_VERSION_BYTES, "little")
_FOOTER_BYTES = _VERSION_BYTES + CHECKSUM_BYTES


class PayloadSealError(CorruptSnapshotError):
    """The version or the checksum of a payload is not what it should be."""


def encode_value(value: Value, *, compress: bool = True) -> bytes:
    """A value with the version that its reader must know and a checksum."""
    if type(value) is bytes:
        # By far the most frequent one; when slots move, this is most of the work.
        payload = b"\x00%b%b" % (encode_string(value, compress), _WRITTEN)
        return payload + checksum(payload).to_bytes(CHECKSUM_BYTES, "little")
    type_number, body = encode_body(value, compress)
    version = FIELD_EXPIRY_VERSION if needs_field_expiry(value) else WRITTEN_VERSION
    payload = b"%c%b%b" % (type_number, body, version.to_bytes(_VERSION_BYTES, "little"))
    return payload + checksum(payload).to_bytes(CHECKSUM_BYTES, "little")


def _checked_end(payload: bytes, *, check_checksum: bool) -> int:
    """Where the version stands; raises `PayloadSealError` if that or the checksum is wrong."""
    end = len(payload) - _FOOTER_BYTES
    if end < 0:
        raise PayloadSealError(0, "payload is too short")
    seal = end + _VERSION_BYTES
    version = int.from_bytes(payload[end:seal], "little")
    if version > NEWEST_VERSION:
        raise PayloadSealError(end, f"version {version} of the format is not known")
    if check_checksum and checksum(payload[:seal]) != int.from_bytes(payload[seal:], "little"):
        raise PayloadSealError(seal, "checksum is wrong")
    return end


def _maybe_plain_string(payload: bytes, end: int) -> bytes | None:
    """What most payloads are: a string that is not compressed, and not long. None: any other.

    Beyond `end` stands the seal, so that the first bytes are there in any case.
    """
    if payload[0] != STRING:
        return None
    first = payload[1]
    if first < 0x40:
        start, size = 2, first
    elif first < 0x80:
        start, size = 3, (first & 0x3F) << 8 | payload[2]
    else:
        return None
    return payload[start:end] if start + size == end else None


def decode_value_untrusted(
    payload: bytes,
    limits: CollectionLimits = DEFAULT_LIMITS,
    *,
    check_checksum: bool = True,
) -> Value:
    """The value of a payload; raises `CorruptSnapshotError`, and `PayloadSealError` of that."""
    end = _checked_end(payload, check_checksum=check_checksum)
    text = _maybe_plain_string(payload, end)
    if text is not None:
        return text
    cursor = Cursor(payload, 0, end)
    try:
        value = read_value(cursor, cursor.byte(), limits)
    except DamagedError as failure:
        raise CorruptSnapshotError(cursor.place, str(failure)) from None
    except IncompleteError:
        raise CorruptSnapshotError(end, "payload ends too early") from None
    if value is None:
        raise CorruptSnapshotError(0, "an empty collection is no value")
    # What is left between the value and the seal is passed over, as Redis does.
    return value


def encode_functions(codes: Iterable[bytes], *, compress: bool = True) -> bytes:
    """Libraries of functions, with version and checksum."""
    parts = [bytes((FUNCTION,)) + encode_string(code, compress) for code in codes]
    payload = b"".join(parts) + _WRITTEN
    return payload + checksum(payload).to_bytes(CHECKSUM_BYTES, "little")


def decode_functions_untrusted(payload: bytes) -> list[bytes]:
    """The libraries in a payload; raises `CorruptSnapshotError`, with Redis' words as reason."""
    end = _checked_end(payload, check_checksum=True)
    cursor = Cursor(payload, 0, end)
    codes: list[bytes] = []
    while cursor.place < end:
        kind = cursor.byte()
        if kind == FUNCTION_PRE_GA:
            raise CorruptSnapshotError(
                cursor.place, "functions of release candidates of Redis 7.0 cannot be loaded"
            )
        if kind != FUNCTION:
            raise CorruptSnapshotError(cursor.place, "given type is not a function")
        try:
            codes.append(cursor.string())
        except (DamagedError, IncompleteError):
            raise CorruptSnapshotError(cursor.place, "Failed loading library payload") from None
    return codes
