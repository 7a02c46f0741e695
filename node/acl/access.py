"""What a request does to which of its words: keys that it reads or writes, channels.

A request whose keys cannot be told (a count that is no number) has none here: the command itself
will find the words to complain.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from ...slots.keyspec import BeginIndex, FindRange, InvalidKeySpecError, KeySpec, key_positions
from ..registry import Command, CommandSpec

#: What is done to a value, as bits; none: something that touches no value, as EXISTS does. Plain
#: numbers, because every request of a restricted client asks for them and an `IntFlag` is slow.
Access = int
NO_ACCESS: Final[Access] = 0
READ: Final[Access] = 1
WRITE: Final[Access] = 2
READ_WRITE: Final[Access] = 3


def access_of_spec(spec: KeySpec) -> Access:
    """What the keys of a spec are for."""
    access = NO_ACCESS
    if spec.has_flag("ACCESS"):
        access |= READ
    if any(spec.has_flag(flag) for flag in ("INSERT", "DELETE", "UPDATE")):
        access |= WRITE
    return access


def sole_accesses(specs: Iterable[CommandSpec]) -> dict[str, Access]:
    """What is done to the keys of commands where that is the same for all, and they stand plainly.

    Of these the router's quick finder tells the keys; of others `key_accesses` must look closer.
    """
    found = ((spec.full_name, _maybe_sole_access(spec)) for spec in specs)
    return {name: access for name, access in found if access is not None}


def _maybe_sole_access(command: CommandSpec) -> Access | None:
    specs = command.keys
    if len(specs) != 1 or command.full_name in _EFFECTIVE:
        return None
    spec = specs[0]
    is_plain = isinstance(spec.begin, BeginIndex) and isinstance(spec.find, FindRange)
    if not is_plain or spec.has_flag("NOT_KEY") or spec.own_finder is not None:
        return None
    return access_of_spec(spec)


def key_accesses(command: Command, args: Sequence[bytes]) -> list[tuple[int, Access]]:
    """Where the keys of a request are, and what is done to them."""
    specs = command.spec.keys
    try:
        found = key_positions(specs, args)
    except InvalidKeySpecError:
        return []
    effective = _EFFECTIVE.get(command.full_name)
    if effective is not None:
        access = effective(args)
        return [(position, access) for position, _ in found]
    return [(position, access_of_spec(spec)) for position, spec in found]


def _access_of_set(args: Sequence[bytes]) -> Access:
    for word in args[3:]:
        if word.upper() in (b"GET", b"IFEQ"):
            return READ_WRITE
    return WRITE


def _access_of_bitfield(args: Sequence[bytes]) -> Access:
    position = 2
    while position < len(args):
        word = args[position].upper()
        left = len(args) - position - 1
        if word == b"GET" and left >= 2:
            position += 3
        elif word == b"OVERFLOW" and left >= 1:
            position += 2
        else:
            # Something that writes, or nobody knows what.
            return READ_WRITE
    return READ


#: Commands for which that depends on the options.
_EFFECTIVE = {"set": _access_of_set, "bitfield": _access_of_bitfield}
#: Their names.
VARYING: Final = frozenset(_EFFECTIVE)


#: The commands whose words name channels.
SUBSCRIBING_TO_CHANNELS: Final = frozenset({"subscribe", "ssubscribe"})
SUBSCRIBING_TO_PATTERNS: Final = frozenset({"psubscribe"})
PUBLISHING: Final = frozenset({"publish", "spublish"})
WITH_CHANNELS: Final = SUBSCRIBING_TO_CHANNELS | SUBSCRIBING_TO_PATTERNS | PUBLISHING


def channel_positions(name: str, args: Sequence[bytes]) -> range:
    """Where the channels of a request are for which rights are needed; leaving needs none."""
    if name in PUBLISHING:
        return range(1, min(2, len(args)))
    if name in WITH_CHANNELS:
        return range(1, len(args))
    return range(0)
