"""Putting what a snapshot holds into the data set of a node."""

from binascii import crc_hqx
from collections.abc import Callable
from itertools import repeat
from typing import Final

from ....slots.hashing import SLOT_COUNT, key_slot
from ...errors import CommandError
from ...keyspace import Keyspace
from ...values.packed import maybe_packed
from .errors import DamagedError, DuplicateKeyError
from .options import SnapshotSink
from .values_read import ReadValue

_MASK: Final = SLOT_COUNT - 1


class KeyspaceSink(SnapshotSink):
    """Every key goes straight to its place: no effects, no statistics."""

    def __init__(
        self,
        keyspace: Keyspace,
        *,
        now_ms: int,
        drop_expired: bool,
        load_function: Callable[[bytes], object] | None = None,
        replaces: bool = False,
    ) -> None:
        self._keyspace = keyspace
        self._now_ms = now_ms
        #: A primary leaves out what is dead; a replica must have all that its primary has.
        self._drops_expired = drop_expired
        self._load_function = load_function
        #: Keys may exist already; then they are replaced. Otherwise that is an error.
        self._replaces = replaces
        self.facts: dict[bytes, bytes] = {}
        self.loaded_count = 0
        self.expired_count = 0
        self.empty_count = 0

    def on_aux(self, name: bytes, value: bytes) -> None:
        """Kept in `facts`."""
        self.facts[name.lower()] = value

    def on_function(self, code: bytes) -> None:
        """Handed on to whom it concerns."""
        if self._load_function is None:
            raise DamagedError("functions cannot be loaded here")
        try:
            self._load_function(code)
        except CommandError as failure:
            text = failure.text.decode("utf-8", "backslashreplace")
            raise DamagedError(f"a library of functions cannot be loaded: {text}") from failure

    def on_empty(self, database: int, key: bytes) -> None:
        """Counted."""
        self.empty_count += 1

    def on_key(
        self,
        database: int,
        key: bytes,
        value: ReadValue,
        expire_at_ms: int | None,
        idle_s: int | None,
        frequency: int | None,
    ) -> None:
        """Stored with all that is known of it."""
        if expire_at_ms is not None and self._drops_expired and expire_at_ms < self._now_ms:
            self.expired_count += 1
            return
        home = self._keyspace.database(database)
        slot = key_slot(key)
        values = home.slots[slot]
        kept = maybe_packed(value) or value
        if key in values:
            if not self._replaces:
                raise DuplicateKeyError(f"key {key!r} is there twice")
            home.persist(key)
        if home.meter is not None:
            home.meter.replace(key, values.get(key), kept)
        values[key] = kept
        self.loaded_count += 1
        if expire_at_ms is not None:
            home.expire_at(key, expire_at_ms)
        access = home.access
        if access is not None:
            access.start(slot, key)
            if frequency is not None:
                if access.counts_uses:
                    access.set_frequency(slot, key, frequency)
            elif idle_s is not None and not access.counts_uses:
                access.set_idle_ms(slot, key, idle_s * 1000)

    def on_strings(self, database: int, keys: list[bytes], values: list[bytes]) -> None:
        """Stored all at once, unless something else has to know of each."""
        home = self._keyspace.database(database)
        if (
            home.meter is not None
            or home.access is not None
            or self._replaces
            or b"{" in b"".join(keys)
        ):
            super().on_strings(database, keys, values)
            return
        slots = home.slots
        for checksum, key, value in zip(map(crc_hqx, keys, repeat(0)), keys, values, strict=True):
            place = slots[checksum & _MASK]
            if key in place:
                raise DuplicateKeyError(f"key {key!r} is there twice")
            place[key] = value
        self.loaded_count += len(keys)
