"""Reading a snapshot that arrives in pieces.

What is incomplete is held back until more has come, so that a caller can feed pieces of any size
and do other things between them. Plain strings, of which large snapshots are full, are read in a
loop of their own and handed on by the hundreds. Nothing of a damaged value ever reaches the sink.
"""

from typing import Final

from .checksum import checksum
from .errors import CorruptSnapshotError, DamagedError, DuplicateKeyError, IncompleteError
from .lengths import LONGEST_STRING, Cursor
from .opcodes import (
    AUX,
    CHECKSUM_BYTES,
    CHECKSUM_SINCE_VERSION,
    END,
    EXPIRE_MS,
    EXPIRE_SECONDS,
    FREQUENCY,
    FUNCTION,
    FUNCTION_PRE_GA,
    HEADER_BYTES,
    IDLE,
    MAGIC,
    MODULE_2,
    MODULE_AUX,
    NEWEST_VERSION,
    RESIZE_DATABASE,
    SELECT_DATABASE,
    SLOT_INFO,
    STRING,
)
from .options import ReadOptions, SnapshotSink
from .values_read import module_name, read_value, skip_module_parts

#: So many strings are handed on together.
_BATCH: Final = 4096
#: A value that is cut off is tried again only when so much more (divided by this) has come.
_PATIENCE: Final = 2
#: ... unless there is less than this to look through again.
_SMALL: Final = 1 << 16


class SnapshotReader:
    """Feed it a snapshot, then `finish`."""

    def __init__(self, options: ReadOptions, sink: SnapshotSink) -> None:
        self._options = options
        self._sink = sink
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        #: With fewer bytes at hand it is no use to try.
        self._wanted_bytes = HEADER_BYTES
        #: Where in the snapshot the first byte at hand is.
        self._offset = 0
        self._checksum = 0
        self._is_started = False
        self._is_at_checksum = False
        self.is_done = False
        #: The version of the format; 0 before the header was read.
        self.version = 0
        self.database = 0
        #: What was fed behind the end of the snapshot.
        self.remainder = b""
        self._forget_attributes()

    @property
    def consumed_bytes(self) -> int:
        """How far the snapshot was read."""
        return self._offset

    def _forget_attributes(self) -> None:
        """What stands before a key is true for that key only."""
        self._expire_at_ms: int | None = None
        self._idle_s: int | None = None
        self._frequency: int | None = None

    # --- pieces ------------------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next piece; everything that is complete goes to the sink at once.

        A large value that is cut off may wait until more follows, or for `finish`.
        """
        if self.is_done:
            self.remainder += bytes(data)
            return
        self._pieces.append(bytes(data))
        self._held_bytes += len(data)
        if self._held_bytes >= self._wanted_bytes:
            self._proceed()

    def finish(self) -> None:
        """No more is to come: the snapshot must be complete."""
        if not self.is_done:
            self._proceed()
        if not self.is_done:
            raise CorruptSnapshotError(self._offset + self._held_bytes, "snapshot is cut off")

    def _proceed(self) -> None:
        data = b"".join(self._pieces)
        cursor = Cursor(data)
        start = 0
        needed = 0
        try:
            while not self.is_done:
                start = cursor.place
                self._step(cursor)
        except IncompleteError as failure:
            needed = failure.needed
        except (DamagedError, DuplicateKeyError) as failure:
            raise CorruptSnapshotError(self._offset + cursor.place, str(failure)) from None
        if self.is_done:
            start = cursor.place
        elif not self._is_at_checksum:
            self._note_checksum(data, start)
        total_bytes = self._options.total_bytes
        if not self.is_done and (
            needed - start > 2 * LONGEST_STRING
            or (total_bytes is not None and self._offset + needed > total_bytes)
        ):
            raise CorruptSnapshotError(
                self._offset + start, "something is longer than the snapshot can be"
            )
        self._hold(data[start:] if start else data, needed - start)
        self._offset += start
        if self.is_done:
            self.remainder, self._pieces, self._held_bytes = data[start:], [], 0

    def _hold(self, rest: bytes, needed: int) -> None:
        self._pieces = [rest] if rest else []
        size = self._held_bytes = len(rest)
        self._wanted_bytes = needed
        if size > _SMALL:
            self._wanted_bytes = max(needed, size + size // _PATIENCE)

    def _note_checksum(self, data: bytes, stop: int) -> None:
        if self._options.check_checksum:
            self._checksum = checksum(data[:stop], self._checksum)

    # --- what there is -----------------------------------------------------------------------

    def _step(self, cursor: Cursor) -> None:
        """Read one thing, or many strings."""
        if self._is_at_checksum:
            self._compare_checksum(cursor)
            return
        if not self._is_started:
            self._read_header(cursor)
            return
        code = cursor.byte()
        if code == STRING and self._has_no_attributes() and not self._sink.wants_types:
            cursor.place -= 1
            self._read_strings(cursor)
        elif code < SLOT_INFO:
            self._read_key(cursor, code)
        elif code == END:
            self._note_checksum(cursor.data, cursor.place)
            self._is_at_checksum = True
            if self.version < CHECKSUM_SINCE_VERSION:
                self.is_done = True
        else:
            self._read_other(cursor, code)

    def _read_header(self, cursor: Cursor) -> None:
        header = cursor.take(HEADER_BYTES)
        digits = header[len(MAGIC) :]
        if not header.startswith(MAGIC) or not digits.isdigit():
            cursor.place = 0
            raise DamagedError("this is no snapshot: it has another signature")
        version = int(digits)
        if not 1 <= version <= NEWEST_VERSION:
            raise DamagedError(f"version {version} of the format is not known")
        self.version = version
        self._is_started = True
        self._sink.on_version(version)

    def _compare_checksum(self, cursor: Cursor) -> None:
        written = cursor.unsigned_64()
        if self._options.check_checksum and written not in (0, self._checksum):
            cursor.place -= CHECKSUM_BYTES
            raise DamagedError("checksum is wrong")
        self.is_done = True

    def _has_no_attributes(self) -> bool:
        return self._expire_at_ms is None and self._idle_s is None and self._frequency is None

    def _read_other(self, cursor: Cursor, code: int) -> None:
        """Anything but a key."""
        sink = self._sink
        if code == EXPIRE_MS:
            self._expire_at_ms = cursor.milliseconds()
        elif code == EXPIRE_SECONDS:
            self._expire_at_ms = 1000 * int.from_bytes(cursor.take(4), "little", signed=True)
        elif code == IDLE:
            self._idle_s = cursor.length()
        elif code == FREQUENCY:
            self._frequency = cursor.byte()
        elif code == AUX:
            sink.on_aux(cursor.string(), cursor.string())
        elif code == SELECT_DATABASE:
            self._select(cursor.length())
        elif code == RESIZE_DATABASE:
            sink.on_resize(self.database, cursor.length(), cursor.length())
        elif code == SLOT_INFO:
            sink.on_slot_info(self.database, cursor.length(), cursor.length(), cursor.length())
        elif code == FUNCTION:
            sink.on_function(cursor.string())
        elif code == MODULE_AUX:
            name = module_name(cursor.length())
            skip_module_parts(cursor)
            sink.on_module(name, None)
        else:
            assert code == FUNCTION_PRE_GA
            raise DamagedError("functions of release candidates of Redis 7.0 cannot be loaded")

    def _select(self, database: int) -> None:
        count = self._options.database_count
        if count is not None and database >= count:
            raise DamagedError(f"there is no database {database} here")
        self.database = database

    # --- keys --------------------------------------------------------------------------------

    def _read_key(self, cursor: Cursor, type_number: int) -> None:
        start = cursor.place - 1
        key = cursor.string()
        sink = self._sink
        if type_number == MODULE_2 and self._options.skips_modules:
            name = module_name(cursor.length())
            skip_module_parts(cursor)
            self._forget_attributes()
            sink.on_module(name, key)
            return
        value = read_value(cursor, type_number, self._options.limits)
        if sink.wants_types:
            sink.on_type(self.database, key, type_number, cursor.place - start)
        if value is None:
            sink.on_empty(self.database, key)
        else:
            sink.on_key(
                self.database, key, value, self._expire_at_ms, self._idle_s, self._frequency
            )
        self._forget_attributes()

    def _read_strings(self, cursor: Cursor) -> None:
        """Plain strings, as many as there are in a row: this is where loading spends its time."""
        data = cursor.data
        place = cursor.place
        end = cursor.end
        keys: list[bytes] = []
        values: list[bytes] = []
        add_key = keys.append
        add_value = values.append
        needed = 0
        try:
            for _ in range(_BATCH):
                if data[place]:
                    break
                start = place + 2
                size = data[place + 1]
                if size < 0x40:
                    stop = start + size
                    key = data[start:stop]
                else:
                    cursor.place = place + 1
                    key = cursor.string()
                    stop = cursor.place
                size = data[stop]
                if size < 0x40:
                    start = stop + 1
                    stop = start + size
                    value = data[start:stop]
                elif size < 0x80:
                    start = stop + 2
                    stop = start + ((size & 0x3F) << 8 | data[stop + 1])
                    value = data[start:stop]
                else:
                    cursor.place = stop
                    value = cursor.string()
                    stop = cursor.place
                if stop > end:
                    needed = stop
                    break
                add_key(key)
                add_value(value)
                place = stop
        except IndexError:
            needed = end + 1
        except IncompleteError as failure:
            needed = failure.needed
        cursor.place = place
        if keys:
            self._sink.on_strings(self.database, keys, values)
        elif needed:
            raise IncompleteError(needed)
