"""How much memory the data takes: measured while `maxmemory` needs it, else judged by samples."""

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from ..memory import entry_size

if TYPE_CHECKING:
    from ..database import Database
    from ..machine import Machine

#: Keys looked at in each database to judge all of them.
_SAMPLES: Final = 200


def data_bytes(machine: "Machine") -> int:
    """What all keys with their values take."""
    return sum(map(database_bytes, machine.keyspace.existing()))


def database_bytes(database: "Database") -> int:
    """What the keys of one database with their values take."""
    if database.meter is not None:
        return database.meter.total_bytes
    # Most slots of a small database are empty: `filter` passes them without a step of Python.
    filled = filter(None, database.slots)
    sizes = [
        entry_size(key, value)
        for key, value in islice(chain.from_iterable(map(dict.items, filled)), _SAMPLES)
    ]
    if not sizes:
        return 0
    return sum(sizes) * database.key_count() // len(sizes)
