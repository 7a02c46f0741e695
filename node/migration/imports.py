"""The target's end of an atomic slot migration: keys that are here, but not to be seen yet.

They stand in a database of their own, which no command knows. Replicas and the log are told of them
as they come, as of any key: there nobody can ask for them either, since the slots are another
node's. Snapshots hold them too (`Keyspace.staged`), so that a replica or a log that begins in the
middle misses nothing.
"""

from typing import TYPE_CHECKING

from ..database import Database
from ..effects import Effects
from ..errors import OUT_OF_MEMORY, SYNTAX, CommandError
from ..memory import Meter
from ..persistence.rdb import CorruptSnapshotError, PayloadSealError, decode_value_untrusted
from ..values.hashvalue import HashValue
from ..values.numbers import parse_integer
from ..values.packed import maybe_packed
from .jobs import mask_of

if TYPE_CHECKING:
    from ..machine import Machine
    from .trimming import SlotTrimmer

_IMMORTAL = b"0"
_BAD_PAYLOAD = b"ERR The payload of a key is damaged"
_STRANGE_KEY = CommandError(b"ERR A key is in none of the slots of this migration")


class Import:
    """The hidden keys of one job."""

    def __init__(self, machine: "Machine", slots: list[int]) -> None:
        self._machine = machine
        self._slots = slots
        self._mask = mask_of(slots)
        self._staging = Database(0, machine.clock, Effects())
        # Whoever owns the slots says when their keys die.
        self._staging.is_replica = True
        self._has_field_lifetimes = False
        if machine.keyspace.database(0).meter is not None:
            self._staging.meter = Meter()
        self.key_count = 0
        machine.keyspace.staged.append(self._staging)

    def apply(self, words: list[bytes]) -> None:
        """Take what `Export.next_piece` made."""
        machine, staging = self._machine, self._staging
        if len(words) % 3:
            raise SYNTAX
        if machine.gate.make_room is not None and not machine.memory.make_room():
            raise OUT_OF_MEMORY
        effects = machine.keyspace.effects
        told: list[tuple[bytes, ...]] = []
        mask, homes, is_plain = self._mask, staging.slots, staging.meter is None
        for key, expiry, payload in zip(words[::3], words[1::3], words[2::3], strict=True):
            expires_at_ms = 0 if expiry == _IMMORTAL else parse_integer(expiry)
            slot = staging.slot_of(key)
            if not mask[slot] or expires_at_ms is None:
                raise _STRANGE_KEY
            if not payload:
                if staging.delete(key):
                    told.append((b"DEL", key))
                continue
            value = self._decoded(payload)
            if type(value) is bytes and is_plain and not staging.volatile_count:
                homes[slot][key] = value  # `set`, where there is nothing to book
            else:
                staging.set(key, maybe_packed(value) or value)
                if type(value) is HashValue and value.has_expiry:
                    self._has_field_lifetimes = True
            if expires_at_ms:
                staging.expire_at(key, expires_at_ms)
            if effects.observed:
                told.append((b"RESTORE", key, expiry, payload, b"REPLACE", b"ABSTTL"))
        effects.dirty += len(words) // 3
        effects.propagate_instead(0, *told)

    def _decoded(self, payload: bytes) -> object:
        try:
            return decode_value_untrusted(payload, self._machine.limits)
        except (PayloadSealError, CorruptSnapshotError):
            raise CommandError(_BAD_PAYLOAD) from None

    def reveal(self) -> int:
        """The slots are ours now: their keys come into the open; returns how many."""
        machine, staging = self._machine, self._staging
        database = machine.keyspace.database(0)
        count = 0
        for slot in self._slots:
            # Nothing should be there, and what was would belong to nobody.
            database.clear_slot(slot)
            values, lifetimes = staging.slots[slot], staging.volatile[slot]
            if not values:
                continue
            count += len(values)
            database.slots[slot] = values
            database.volatile[slot] = lifetimes
            database.volatile_count += len(lifetimes)
            if database.meter or database.access or self._has_field_lifetimes:
                self._book(database, slot)
        self._forget()
        return count

    def _book(self, database: Database, slot: int) -> None:
        """What the node keeps beside the keys of a slot."""
        note = self._machine.field_expiry.note
        for key, value in database.slots[slot].items():
            if database.meter is not None:
                database.meter.replace(key, None, value)
            if database.access is not None:
                database.access.start(slot, key)
            if type(value) is HashValue and value.has_expiry:
                note(database, key, value)

    def drop(self, trimmer: "SlotTrimmer") -> None:
        """Nothing came of it: replicas and the log are told to forget the keys."""
        for slot in self._slots:
            trimmer.tell(slot, self._staging.slots[slot])
        self._forget()

    def _forget(self) -> None:
        self._machine.keyspace.staged.remove(self._staging)

    @property
    def received_count(self) -> int:
        """How many keys there are by now."""
        return self._staging.key_count()
