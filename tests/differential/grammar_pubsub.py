"""What clients say to each other: subscriptions, messages, tracking, keyspace events.

Each rule draws the commands of one move; see `listening.py`. A rule says which clients may make
the move: in RESP2 a subscribed client may say little else, so some only listen.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from .listening import PROTOCOLS, Move

_CHANNELS: Final = (b"a", b"b", b"news", b"", b"__redis__:invalidate")
_PATTERNS: Final = (b"n*", b"[ab]", b"?", b"\\a", b"")
#: Only for clients of RESP2: 7.0 sends a client that reads a key the events of that in the middle
#: of the reply, where no parser looks for them.
_KEY_CHANNELS: Final = (b"__keyspace@0__:k1", b"__keyevent@0__:set", b"__keyevent@0__:keymiss")
_KEY_PATTERNS: Final = (b"*", b"__key*", b"__keyspace@0__:*", b"__keyevent*")
_KEYS: Final = (b"k1", b"k2", b"other")
_EVENTS: Final = (b"KEA", b"KEAmn", b"Eg$", b"K$lx", b"", b"A", b"Em")

Words = tuple[bytes, ...]
Drawer = Callable[[Random], list[Words]]


def _some(random: Random, names: tuple[bytes, ...], low: int = 0) -> Words:
    return tuple(random.choice(names) for _ in range(random.randint(low, 3)))


def _join(random: Random) -> list[Words]:
    word = random.choice((b"SUBSCRIBE", b"SSUBSCRIBE"))
    return [(word, *_some(random, _CHANNELS, 1))]


def _join_by_pattern(random: Random) -> list[Words]:
    # One pattern at a time: in which order several match is each server's own affair.
    return [(b"PUNSUBSCRIBE",), (b"PSUBSCRIBE", random.choice(_PATTERNS))]


def _join_keys(random: Random) -> list[Words]:
    return [(b"SUBSCRIBE", *_some(random, _KEY_CHANNELS, 1))]


def _join_keys_by_pattern(random: Random) -> list[Words]:
    return [(b"PUNSUBSCRIBE",), (b"PSUBSCRIBE", random.choice(_KEY_PATTERNS))]


def _leave(random: Random) -> list[Words]:
    word = random.choice((b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"))
    names = _PATTERNS if word == b"PUNSUBSCRIBE" else _CHANNELS
    return [(word, *_some(random, names))]


def _speak(random: Random) -> list[Words]:
    word = random.choice((b"PUBLISH", b"PUBLISH", b"SPUBLISH"))
    return [(word, random.choice(_CHANNELS), random.choice((b"", b"hi", b"\x00\r\n")))]


def _look(random: Random) -> list[Words]:
    return [
        random.choice(
            (
                (b"PUBSUB", b"NUMSUB", *_some(random, _CHANNELS)),
                (b"PUBSUB", b"SHARDNUMSUB", *_some(random, _CHANNELS)),
                (b"PUBSUB", b"NUMPAT"),
                (b"PUBSUB", b"CHANNELS", b"nothing*"),
                (b"PUBSUB", b"CHANNELS", b"a", b"b"),
                (b"CLIENT", b"TRACKINGINFO"),
                (b"CLIENT", b"GETREDIR"),
            )
        )
    ]


def _track(random: Random) -> list[Words]:
    options = random.choice(
        (
            (b"ON",),
            (b"ON", b"NOLOOP"),
            (b"ON", b"OPTIN"),
            (b"ON", b"OPTOUT"),
            (b"ON", b"BCAST"),
            (b"ON", b"BCAST", b"PREFIX", b"k"),
            (b"ON", b"BCAST", b"PREFIX", b"k", b"PREFIX", b"o", b"NOLOOP"),
            (b"ON", b"BCAST", b"OPTIN"),
            (b"ON", b"REDIRECT", b"0"),
            (b"OFF",),
            (b"OFF",),
        )
    )
    return [(b"CLIENT", b"TRACKING", *options)]


def _read(random: Random) -> list[Words]:
    key = random.choice(_KEYS)
    commands = [
        random.choice(
            (
                (b"GET", key),
                (b"MGET", *_some(random, _KEYS, 1)),
                (b"EXISTS", key),
                (b"STRLEN", key),
                (b"LRANGE", key, b"0", b"-1"),
            )
        )
    ]
    if random.random() < 0.3:
        commands.insert(0, (b"CLIENT", b"CACHING", random.choice((b"YES", b"NO"))))
    return commands


def _write(random: Random) -> list[Words]:
    key = random.choice(_KEYS)
    return [
        random.choice(
            (
                (b"SET", key, b"1"),
                (b"MSET", b"k1", b"1", b"other", b"2"),
                (b"DEL", key),
                (b"APPEND", key, b"x"),
                (b"EXPIRE", key, b"-1"),
                (b"RENAME", key, b"other"),
                (b"FLUSHALL",),
            )
        )
    ]


def _transact(random: Random) -> list[Words]:
    # Reads come first: what a transaction reads after its own write is told once too often here.
    inner = _read(random)[-1:] + _write(random)
    return [(b"MULTI",), *inner, (b"EXEC",)]


def _watch_keys(random: Random) -> list[Words]:
    return [(b"CONFIG", b"SET", b"notify-keyspace-events", random.choice(_EVENTS))]


def _start_anew(random: Random) -> list[Words]:
    # RESET also goes back to RESP2.
    return [(b"RESET",)]


#: (weight, who may do it, what)
_RULES: Final[tuple[tuple[int, tuple[int, ...], Drawer], ...]] = (
    (6, (0, 1, 2, 3), _join),
    (3, (0, 1), _join_by_pattern),
    (2, (0, 2), _join_keys),
    (2, (0,), _join_keys_by_pattern),
    (4, (0, 1, 2, 3), _leave),
    (8, (2, 3), _speak),
    (3, (1, 2, 3), _look),
    (5, (1, 2, 3), _track),
    (10, (1, 2, 3), _read),
    (8, (1, 2, 3), _write),
    (2, (2,), _transact),
    (2, (2, 3), _watch_keys),
    (1, (0, 2), _start_anew),
)


def draw_moves(random: Random, count: int) -> list[Move]:
    """Draw some moves."""
    assert len(PROTOCOLS) == 4
    moves: list[Move] = []
    for _, clients, draw in random.choices(_RULES, [rule[0] for rule in _RULES], k=count):
        moves.append(Move(random.choice(clients), tuple(draw(random))))
    return moves
