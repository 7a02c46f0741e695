"""Transactions of several clients: what they watch, what others change meanwhile, and how it ends.

A transaction is one move, since a client in the middle of MULTI cannot be asked whether it is
quiet; what it watches, and what others do before it, are moves of their own.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from .listening import PROTOCOLS, Move

_KEYS: Final = (b"k1", b"k2", b"list", b"missing")
_CLIENTS: Final = (0, 1, 2, 3)

Words = tuple[bytes, ...]
Drawer = Callable[[Random], list[Words]]


def _key(random: Random) -> bytes:
    return random.choice(_KEYS)


def _watch(random: Random) -> list[Words]:
    return [(b"WATCH", *(_key(random) for _ in range(random.randint(1, 3))))]


def _unwatch(random: Random) -> list[Words]:
    return [random.choice(((b"UNWATCH",), (b"DISCARD",), (b"EXEC",), (b"WATCH",), (b"RESET",)))]


def _change(random: Random) -> list[Words]:
    key = _key(random)
    return [
        random.choice(
            (
                (b"SET", key, b"1"),
                (b"INCR", key),
                (b"DEL", key),
                (b"RPUSH", b"list", b"a", b"b"),
                (b"LPOP", b"list"),
                (b"EXPIRE", key, b"-1"),
                (b"EXPIRE", key, b"1000"),
                (b"PERSIST", key),
                (b"RENAME", key, _key(random)),
                (b"COPY", key, _key(random), b"REPLACE"),
                (b"FLUSHALL",),
                (b"FLUSHDB",),
                (b"SWAPDB", b"0", b"1"),
                (b"SELECT", random.choice((b"0", b"1"))),
                (b"GETDEL", key),
                (b"EVAL", b"return redis.call('SET', KEYS[1], ARGV[1])", b"1", key, b"s"),
            )
        )
    ]


def _look(random: Random) -> list[Words]:
    key = _key(random)
    return [
        random.choice(
            (
                (b"GET", key),
                (b"LRANGE", b"list", b"0", b"-1"),
                (b"TTL", key),
                (b"EXISTS", *_KEYS),
                (b"TYPE", key),
                (b"EVAL", b"return {redis.call('EXISTS', KEYS[1]), 'x'}", b"1", key),
                (b"PING",),
                (b"HGETALL", b"missing"),
            )
        )
    ]


def _mistake(random: Random) -> list[Words]:
    return [
        random.choice(
            (
                (b"NOPE", b"x"),
                (b"GET",),
                (b"SET", b"k1"),
                (b"LPUSH", b"k1", b"x"),
                (b"INCR", b"list"),
                (b"MULTI",),
                (b"WATCH", b"k1"),
                (b"CONFIG", b"NOPE"),
                (b"OBJECT",),
                (b"SELECT", b"99"),
                (b"BLPOP", b"missing", b"0"),
                (b"EVAL", b"return redis.call('NOPE')", b"0"),
                (b"EVALSHA", b"0" * 40, b"0"),
                (b"UNWATCH",),
                (b"CLIENT", b"REPLY", b"NOPE"),
            )
        )
    ]


def _transact(random: Random) -> list[Words]:
    inner: list[Words] = []
    for _ in range(random.randint(0, 6)):
        inner += random.choices((_change, _look, _mistake), (6, 4, 1))[0](random)
    return [(b"MULTI",), *inner, (random.choice((b"EXEC", b"EXEC", b"EXEC", b"DISCARD")),)]


#: (weight, what)
_RULES: Final[tuple[tuple[int, Drawer], ...]] = (
    (6, _watch),
    (1, _unwatch),
    (6, _change),
    (2, _look),
    (1, _mistake),
    (8, _transact),
)
#: Would leave a client in the middle of a transaction, or waiting.
_ONLY_INSIDE: Final = frozenset({b"MULTI", b"BLPOP"})


def draw_transactions(random: Random, count: int) -> list[Move]:
    """Draw some moves."""
    assert len(PROTOCOLS) == len(_CLIENTS)
    moves: list[Move] = []
    while len(moves) < count:
        draw = random.choices([rule[1] for rule in _RULES], [rule[0] for rule in _RULES])[0]
        commands = draw(random)
        if len(commands) == 1 and commands[0][0] in _ONLY_INSIDE:
            continue
        moves.append(Move(random.choice(_CLIENTS), tuple(commands)))
    return moves
