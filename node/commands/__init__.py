"""The Redis commands, one file per family, each declared once beside its function."""

from importlib import import_module

FAMILIES = (
    "connection",
    "strings",
)


def load_families() -> None:
    """Import every family, which declares its commands."""
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")
