"""MIGRATE: moves or copies keys to another server."""

from collections.abc import Sequence
from typing import Final

from ...slots.keyspec import FindRange, found_by, keyword_keys, one_key
from ..errors import NOT_AN_INTEGER, SYNTAX, CommandError
from ..migration.transfers import KeyTransfer
from ..registry import command
from ..resp.encoder import simple
from ..session import Session
from ..values.numbers import parse_integer

_KEY: Final = 3
_OPTIONS: Final = 6
_DEFAULT_TIMEOUT_MS: Final = 1000
_NO_KEY: Final = simple(b"NOKEY")
_KEY_AND_KEYS: Final = CommandError(
    b"ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
)
#: Options with words of their own, and how many.
_LOGINS: Final = {b"AUTH": 1, b"AUTH2": 2}


def _find_single(args: Sequence[bytes]) -> Sequence[int]:
    """The key at its usual place, unless keys follow KEYS."""
    return () if _find_several(args) else (_KEY,)


def _find_several(args: Sequence[bytes]) -> Sequence[int]:
    """The keys behind KEYS, which counts only where the usual place is empty."""
    if args[_KEY]:
        return ()
    place = _OPTIONS
    while place < len(args):
        word = args[place].upper()
        if word == b"KEYS":
            return range(place + 1, len(args))
        place += 1 + _LOGINS.get(word, 0)
    return ()


@command(
    "MIGRATE",
    group="generic",
    since="2.6.0",
    arity=-6,
    flags="write",
    keys=(
        found_by(one_key(_KEY, "RW", "ACCESS", "DELETE"), _find_single),
        found_by(
            keyword_keys("KEYS", -2, FindRange(-1, 1, 0), "RW", "ACCESS", "DELETE", "INCOMPLETE"),
            _find_several,
        ),
    ),
    args='host port key|"" destination-db timeout:integer [COPY] '
    "[REPLACE] [AUTH password|AUTH2 (username password)] [KEYS key...]",
    complexity="O(N) in the size of the values",
    categories="dangerous",
    tips=("nondeterministic_output",),
)
def migrate(session: Session, args: list[bytes]) -> bytes:
    """Moves keys to another server, each of them being on one side only at any time."""
    is_copy = replaces = False
    login: tuple[bytes, ...] = ()
    keys = args[_KEY : _KEY + 1]
    place = _OPTIONS
    while place < len(args):
        word = args[place].upper()
        place += 1
        if word == b"COPY":
            is_copy = True
        elif word == b"REPLACE":
            replaces = True
        elif word in _LOGINS:
            login = tuple(args[place : place + _LOGINS[word]])
            place += _LOGINS[word]
            if len(login) < _LOGINS[word]:
                raise SYNTAX
        elif word == b"KEYS":
            if args[_KEY]:
                raise _KEY_AND_KEYS
            keys = args[place:]
            break
        else:
            raise SYNTAX
    timeout_ms, database = parse_integer(args[5]), parse_integer(args[4])
    if timeout_ms is None or database is None:
        raise NOT_AN_INTEGER
    db = session.db
    present = [key for key in keys if db.get(key) is not None]
    if not present:
        return _NO_KEY
    transfer = KeyTransfer(
        host=args[1].decode("latin-1"),
        port=_port(args[2]),
        database=database,
        timeout_ms=timeout_ms if timeout_ms > 0 else _DEFAULT_TIMEOUT_MS,
        keys=present,
        source=db,
        is_copy=is_copy,
        replaces=replaces,
        login=login,
    )
    return session.machine.transfers.begin(session, transfer)


def _port(text: bytes) -> int:
    """A port as C reads numbers: what is none is 0, where nobody listens."""
    port = parse_integer(text)
    return port if port is not None and 0 < port <= 65_535 else 0
