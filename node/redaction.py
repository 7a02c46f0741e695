"""Secrets in requests: what the slow log and MONITOR show instead of them.

Redis hides the same words: passwords of AUTH, HELLO and MIGRATE, whatever ACL SETUSER is told, and
the values of sensitive directives.
"""

from collections.abc import Callable, Sequence
from typing import Final

HIDDEN: Final = b"(redacted)"

#: The words of MIGRATE that announce secrets, and how many follow.
_MIGRATE_SECRETS: Final = {b"AUTH": 1, b"AUTH2": 2}
#: Where MIGRATE's options begin.
_MIGRATE_OPTIONS: Final = 6


def redacted(args: Sequence[bytes], is_sensitive: Callable[[str], bool]) -> Sequence[bytes]:
    """The request as others may see it; `is_sensitive` tells directives whose values are secret."""
    finder = _FINDERS.get(args[0].upper())
    if finder is None:
        return args
    secret = finder(args, is_sensitive)
    return [HIDDEN if place in secret else word for place, word in enumerate(args)]


def _in_auth(args: Sequence[bytes], is_sensitive: Callable[[str], bool]) -> set[int]:
    return set(range(1, len(args)))


def _in_hello(args: Sequence[bytes], is_sensitive: Callable[[str], bool]) -> set[int]:
    places: set[int] = set()
    place = 2
    while place < len(args):
        if args[place].upper() == b"AUTH":
            places |= {place + 1, place + 2}
            place += 2
        place += 1
    return places


def _in_migrate(args: Sequence[bytes], is_sensitive: Callable[[str], bool]) -> set[int]:
    places: set[int] = set()
    place = _MIGRATE_OPTIONS
    while place < len(args):
        if args[place].upper() == b"KEYS":
            break  # What follows is keys, whatever they look like.
        count = _MIGRATE_SECRETS.get(args[place].upper(), 0)
        places |= set(range(place + 1, place + 1 + count))
        place += 1 + count
    return places


def _in_acl(args: Sequence[bytes], is_sensitive: Callable[[str], bool]) -> set[int]:
    if len(args) > 1 and args[1].upper() == b"SETUSER":
        return set(range(2, len(args)))
    return set()


def _in_config(args: Sequence[bytes], is_sensitive: Callable[[str], bool]) -> set[int]:
    if len(args) < 2 or args[1].upper() != b"SET":
        return set()
    return {
        place + 1 for place in range(2, len(args), 2) if is_sensitive(args[place].decode("latin-1"))
    }


_FINDERS: Final = {
    b"AUTH": _in_auth,
    b"HELLO": _in_hello,
    b"MIGRATE": _in_migrate,
    b"ACL": _in_acl,
    b"CONFIG": _in_config,
}
