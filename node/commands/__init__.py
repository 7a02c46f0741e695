"""The Redis commands, one file per family, each declared once beside its function."""

from importlib import import_module

FAMILIES = (
    "connection",
    "client",
    "transactions",
    "command_table",
    "cluster",
    "cluster_slots",
    "cluster_views",
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
    "hash_field_values",
    "zsets",
    "zset_ranges",
    "zset_algebra",
    "zset_blocking",
    "geo",
    "lists",
    "list_blocking",
    "sets",
    "set_algebra",
    "info",
    "config_commands",
    "server",
    "memory_commands",
    "slowlog_commands",
    "latency_commands",
    "monitor",
    "debug",
    "streams",
    "stream_trimming",
    "stream_groups",
    "stream_claims",
    "stream_reading",
    "stream_info",
    "sort",
)


def load_families() -> None:
    """Import every family, which declares its commands."""
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")
