"""What libraries and functions may be called."""

from typing import Final

from ..errors import CommandError

BAD_NAME: Final = CommandError(
    b"ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    b"one character long"
)
_NAME_BYTES: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def is_name(text: bytes) -> bool:
    """Whether a library or function may be called that."""
    return bool(text) and _NAME_BYTES.issuperset(text)
