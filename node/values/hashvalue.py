"""Hashes: a dict of fields that knows what Redis would call its encoding.

Read it as the dict it is (`get`, `in`, `len`, `items`); change it through `put`,
`put_keeping_expiry` and `take` alone, which keep the encoding, the lifetimes of fields and the
index in step.

Measured, with 16-byte fields and values: 164 bytes a field in a hash of 300000 (redis-server:
117); `put` 0.27 us, `get` 0.16 us, `take` 0.2 us. In hashes of 20 fields of 8 bytes 74 bytes a
field, as they share their names (redis-server: 26); while nobody uses them they are `packed`.
"""

from itertools import islice
from typing import Final

from ..memory import LIFETIME_BYTES, bytes_size
from .fieldexpiry import FieldExpiry
from .fieldnames import shared_name
from .limits import DEFAULT_LIMITS, CollectionLimits
from .roster import Chooser
from .scancursor import (
    CHECK_MASK,
    GC_HEADER_BYTES,
    INDEX_ENTRY_BYTES,
    Beside,
    Indexed,
)

#: Hashes with more fields than this have data for names, hardly shared with other hashes.
_SHARED_NAMES_UP_TO: Final = 64


class HashValue(dict[bytes, bytes], Indexed):
    """Field to value."""

    __slots__ = ("_beside", "_expiry", "is_compact", "limits")

    def __init__(self, limits: CollectionLimits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        #: Within the limits of a listpack ever since.
        self.is_compact = True
        self._expiry: FieldExpiry | None = None
        self._beside: Beside | None = None

    @property
    def encoding(self) -> bytes:
        """What OBJECT ENCODING says."""
        if not self.is_compact:
            return b"hashtable"
        return b"listpack" if self._expiry is None else b"listpackex"

    def put(self, field: bytes, value: bytes) -> bool:
        """Set a field, whose lifetime ends with that; True if it is new."""
        if self._expiry is not None:
            self._forget_expiry(field)
        return self.put_keeping_expiry(field, value)

    def put_keeping_expiry(self, field: bytes, value: bytes) -> bool:
        """Set a field, which keeps its lifetime (HINCRBY does so); True if it is new."""
        if field in self:
            self[field] = value
            if self.is_compact and len(value) > self.limits.hash_max_listpack_value:
                self.is_compact = False
            return False
        if len(self) < _SHARED_NAMES_UP_TO:
            field = shared_name(field)
        self[field] = value
        if self.is_compact:
            limits = self.limits
            longest = limits.hash_max_listpack_value
            if (
                len(self) > limits.hash_max_listpack_entries
                or len(field) > longest
                or len(value) > longest
            ):
                self.is_compact = False
        if self._beside is not None:
            self._note_change(field, True)
        return True

    def expect(self, texts: list[bytes]) -> None:
        """Note what is about to be set: HSET leaves the listpack before it sets anything."""
        longest = self.limits.hash_max_listpack_value
        if self.is_compact and any(len(text) > longest for text in texts):
            self.is_compact = False

    def take(self, field: bytes) -> bytes | None:
        """Remove a field; returns its value, None if there was none."""
        value = self.pop(field, None)
        if value is not None:
            if self._expiry is not None:
                self._forget_expiry(field)
            if self._beside is not None:
                self._note_change(field, False)
            if not len(self) & CHECK_MASK:
                self._give_back_room()
        return value

    def _rebuild(self) -> None:
        kept = dict(self)
        self.clear()
        self.update(kept)

    def random_items(self, count: int, rng: Chooser) -> list[tuple[bytes, bytes]]:
        """`count` different fields (all, if there are fewer) with their values."""
        return [(field, self[field]) for field in self.random_members(count, rng)]

    # --- lifetimes of fields -----------------------------------------------------------------

    @property
    def has_expiry(self) -> bool:
        """Whether any field has a lifetime."""
        return self._expiry is not None

    def maybe_expiry_ms(self, field: bytes) -> int | None:
        """When a field dies, or None."""
        return None if self._expiry is None else self._expiry.at_ms.get(field)

    def maybe_next_expiry_ms(self) -> int | None:
        """When the next field dies, or None."""
        return None if self._expiry is None else self._expiry.maybe_next_ms()

    def expire_at(self, field: bytes, at_ms: int) -> None:
        """Give an existing field a lifetime."""
        if self._expiry is None:
            self._expiry = FieldExpiry()
            self.limits.has_field_lifetimes = True
        self._expiry.expire_at(field, at_ms)

    def persist(self, field: bytes) -> bool:
        """Take a field's lifetime away; False if it had none."""
        return self._expiry is not None and self._forget_expiry(field)

    def _forget_expiry(self, field: bytes) -> bool:
        expiry = self._expiry
        if expiry is None or not expiry.forget(field):
            return False
        if not expiry.at_ms:
            self._expiry = None
        return True

    def take_dead(self, now_ms: int, limit: int = 1 << 62) -> list[bytes]:
        """Remove the fields whose time is up (at most `limit`); returns their names."""
        expiry = self._expiry
        if expiry is None:
            return []
        dead = expiry.take_dead(now_ms, limit)
        for field in dead:
            del self[field]
            self._note_change(field, False)
        if not expiry.at_ms:
            self._expiry = None
        self._give_back_room()
        return dead

    # --- the whole value -----------------------------------------------------------------------

    def copy(self) -> "HashValue":
        """An independent copy; the bytes are shared."""
        other = HashValue(self.limits)
        other.update(self)
        other.is_compact = self.is_compact
        if self._expiry is not None:
            other._expiry = FieldExpiry(self._expiry.at_ms)
        return other

    def estimate_bytes(self, samples: int) -> int:
        """About how many bytes this takes, judged by `samples` fields (0: all)."""
        size = len(self)
        total = GC_HEADER_BYTES + self.__sizeof__()
        if not size:
            return total
        looked_at = min(samples, size) if samples > 0 else size
        shares_names = size <= _SHARED_NAMES_UP_TO
        seen = 0
        for field, value in islice(self.items(), looked_at):
            seen += bytes_size(len(value)) + (0 if shares_names else bytes_size(len(field)))
        total += seen * size // looked_at
        if self._beside is not None:
            total += size * INDEX_ENTRY_BYTES
        if self._expiry is not None:
            total += len(self._expiry.at_ms) * (LIFETIME_BYTES + 64)
        return total
