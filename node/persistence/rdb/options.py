"""What a reader of snapshots is told, and whom it tells what it finds."""

from attrs import frozen

from ...values.limits import DEFAULT_LIMITS, CollectionLimits
from .values_read import ReadValue


@frozen
class ReadOptions:
    """How a snapshot is to be read."""

    #: The limits that the values point to: those of the node that gets them.
    limits: CollectionLimits = DEFAULT_LIMITS
    #: `rdbchecksum`; a checksum of zero means that there is none.
    check_checksum: bool = True
    #: How many databases there are to put keys into; None: any number.
    database_count: int | None = None
    #: The length of the whole snapshot, if that is known: what reaches beyond it is damaged.
    total_bytes: int | None = None
    #: Values of modules are passed over (and told of) instead of refused.
    skips_modules: bool = False


class SnapshotSink:
    """Gets what a reader finds, in the order of the snapshot. Does nothing unless overridden."""

    def on_version(self, version: int) -> None:
        """The snapshot begins: the version of its format."""

    def on_aux(self, name: bytes, value: bytes) -> None:
        """A fact about the node that wrote the snapshot."""

    def on_function(self, code: bytes) -> None:
        """The source of a library of functions."""

    def on_resize(self, database: int, keys: int, expires: int) -> None:
        """How many keys a database has, and how many of them have a lifetime."""

    def on_slot_info(self, database: int, slot: int, keys: int, expires: int) -> None:
        """How many keys a slot has, and how many of them have a lifetime."""

    def on_module(self, name: str, key: bytes | None) -> None:
        """Something of a module was passed over: the value of a key, or what has no key."""

    def on_empty(self, database: int, key: bytes) -> None:
        """A key with an empty collection was passed over, as Redis does."""

    def on_key(
        self,
        database: int,
        key: bytes,
        value: ReadValue,
        expire_at_ms: int | None,
        idle_s: int | None,
        frequency: int | None,
    ) -> None:
        """A key with its value. Raises `DuplicateKeyError` for one that was there before."""

    def on_strings(self, database: int, keys: list[bytes], values: list[bytes]) -> None:
        """Many keys with strings, without lifetimes and all the rest: what snapshots are full of.

        Such keys are told of here only; by default one at a time.
        """
        for key, value in zip(keys, values, strict=True):
            self.on_key(database, key, value, None, None, None)

    def on_type(self, database: int, key: bytes, type_number: int, size: int) -> None:
        """Right before `on_key`: how the value is written, and in how many bytes with its key.

        Only told when `wants_types` is set; then `on_strings` is never called.
        """

    #: Whether to call `on_type`; costs time.
    wants_types: bool = False
