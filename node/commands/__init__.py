"""The Redis commands, one file per family, each declared once beside its function."""

from importlib import import_module

FAMILIES = (
    "connection",
    "client",
    "transactions",
    "command_table",
    "cluster",
    "keys",
    "key_expiry",
    "scan",
    "objects",
    "strings",
    "bitmaps",
    "counters",
    "hyperloglog",
    "string_ranges",
    "hashes",
    "hash_expiry",
    "lists",
    "list_blocking",
    "sets",
    "set_algebra",
)


def load_families() -> None:
    """Import every family, which declares its commands."""
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")
