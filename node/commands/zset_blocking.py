"""Taking the lowest or highest members of sorted sets, and waiting for some to take.

A blocking pop is its plain counterpart that may wait. What replicas and the append-only file get
is always the plain form of what happened: ZPOPMIN or ZPOPMAX.
"""

from typing import Final

from ...slots.keyspec import key_range, keynum, one_key
from ..batches import Replies, encoded, maybe_shared, run_singly, same_keys
from ..blocking import parse_timeout_ms
from ..errors import MUST_BE_POSITIVE, SYNTAX
from ..registry import command
from ..resp.alike import Requests
from ..resp.encoder import EMPTY_ARRAY, bulk
from ..session import Session
from ..values.numbers import parse_integer
from ..values.zsetvalue import ZSetValue
from .arguments import parse_pop_of_many
from .zsets import Pair, announce_removal, nested_pairs, pair_reply, pairs_reply, score_reply

_TAKE: Final = (one_key(1, "RW", "ACCESS", "DELETE"),)
_ENDS: Final = (b"MIN", b"MAX")
_WHERE: Final = "where:oneof(MIN|MAX)"
#: By whether the lowest or the highest are taken.
_COMMANDS: Final = {True: b"ZPOPMIN", False: b"ZPOPMAX"}
_EVENTS: Final = {True: b"zpopmin", False: b"zpopmax"}


def _take(
    session: Session, key: bytes, value: ZSetValue, is_lowest: bool, count: int
) -> list[Pair]:
    pairs = value.pop_lowest(count) if is_lowest else value.pop_highest(count)
    announce_removal(session, key, value, _EVENTS[is_lowest])
    return pairs


# --- one key -------------------------------------------------------------------------------------


def _pop(session: Session, args: list[bytes], is_lowest: bool) -> bytes:
    db = session.db
    key = args[1]
    count = 1
    if len(args) == 2:
        value = db.maybe_value(key)
        if type(value) is ZSetValue and len(value) > 1:
            db.effects.dirty += 1
            return pair_reply(session, value.pop_end(not is_lowest))
    else:
        if len(args) > 3:
            raise SYNTAX
        number = parse_integer(args[2])
        if number is None or number < 0:
            raise MUST_BE_POSITIVE
        count = number
    value = db.typed_for_write(key, ZSetValue)
    if value is None or not count:
        return EMPTY_ARRAY
    pairs = _take(session, key, value, is_lowest, count)
    if len(args) == 2:
        return pair_reply(session, pairs[0])
    return pairs_reply(session, pairs)


def _pop_many(session: Session, requests: Requests, is_lowest: bool) -> Replies[bytes] | None:
    """A pipeline of pops of one member each in one go."""
    keys = same_keys(requests, 2)
    if keys is None:
        return None
    effects = session.db.effects
    value = maybe_shared(session, keys)
    if type(value) is ZSetValue and len(value) > len(keys):
        effects.dirty += len(keys)
        pairs = value.pop_lowest(len(keys)) if is_lowest else value.pop_highest(len(keys))
        return encoded([pair_reply(session, pair) for pair in pairs])
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    taken = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is ZSetValue and len(value) > 1:
            replies.append(pair_reply(session, value.pop_end(not is_lowest)))
            taken += 1
        elif value is None:
            replies.append(EMPTY_ARRAY)
        else:
            # The last member takes the key along.
            replies.append(run_singly(session, _COMMANDS[is_lowest], args))
    effects.dirty += taken
    return encoded(replies)


def _zpopmin_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    return _pop_many(session, requests, is_lowest=True)


def _zpopmax_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    return _pop_many(session, requests, is_lowest=False)


@command(
    "ZPOPMIN",
    group="sorted-set",
    since="5.0.0",
    arity=-2,
    flags="write fast",
    keys=_TAKE,
    args="key [count]",
    complexity="O(log(N)*M), M members taken",
    batch=_zpopmin_many,
)
def zpopmin(session: Session, args: list[bytes]) -> bytes:
    """Takes the members with the lowest scores out of a sorted set and returns them."""
    return _pop(session, args, is_lowest=True)


@command(
    "ZPOPMAX",
    group="sorted-set",
    since="5.0.0",
    arity=-2,
    flags="write fast",
    keys=_TAKE,
    args="key [count]",
    complexity="O(log(N)*M), M members taken",
    batch=_zpopmax_many,
)
def zpopmax(session: Session, args: list[bytes]) -> bytes:
    """Takes the members with the highest scores out of a sorted set and returns them."""
    return _pop(session, args, is_lowest=False)


# --- the first of several keys -------------------------------------------------------------------


class _Pop:
    """A pop from the first of some keys that has something, perhaps after a while."""

    __slots__ = ("count", "is_lowest", "session")

    def __init__(self, session: Session, is_lowest: bool, count: int | None) -> None:
        self.session = session
        self.is_lowest = is_lowest
        #: None: a single member, shown without brackets around it.
        self.count = count

    def first_of(self, keys: list[bytes]) -> bytes | None:
        """Take from the first of the keys that exists; None if there is none."""
        db = self.session.db
        for key in keys:
            value = db.typed_for_write(key, ZSetValue)
            if value is not None:
                return self._take(key, value)
        return None

    def attempt(self, key: bytes) -> bytes | None:
        """Take from a key that something happened to."""
        value = self.session.db.for_write(key)
        return self._take(key, value) if type(value) is ZSetValue else None

    def _take(self, key: bytes, value: ZSetValue) -> bytes:
        session = self.session
        effects = session.db.effects
        name = _COMMANDS[self.is_lowest]
        if self.count is None:
            pair = _take(session, key, value, self.is_lowest, 1)[0]
            effects.propagate_instead(session.db.index, (name, key))
            return b"*3\r\n" + bulk(key) + bulk(pair[0]) + score_reply(session, pair[1])
        pairs = _take(session, key, value, self.is_lowest, self.count)
        effects.propagate_instead(session.db.index, (name, key, b"%d" % len(pairs)))
        return b"*2\r\n" + bulk(key) + nested_pairs(session, pairs)

    def now_or_later(self, keys: list[bytes], timeout: bytes) -> bytes:
        """Take at once, or wait."""
        session = self.session
        timeout_ms = parse_timeout_ms(timeout, session.machine.clock.now_ms)
        reply = self.first_of(keys)
        if reply is not None:
            return reply
        blocked = session.machine.blocked
        return blocked.wait(session, keys, timeout_ms, self.attempt, session.encoder.null_array)


@command(
    "ZMPOP",
    group="sorted-set",
    since="7.0.0",
    arity=-4,
    flags="write",
    keys=(keynum(1, "RW", "ACCESS", "DELETE"),),
    args=f"numkeys key... {_WHERE} [COUNT count]",
    complexity="O(K)+O(M*log(N)), K keys, M members taken",
)
def zmpop(session: Session, args: list[bytes]) -> bytes:
    """Takes members out of the first of some sorted sets that is not empty."""
    keys, is_lowest, count = parse_pop_of_many(args, 1, _ENDS)
    return _Pop(session, is_lowest, count).first_of(keys) or session.encoder.null_array


@command(
    "BZMPOP",
    group="sorted-set",
    since="7.0.0",
    arity=-5,
    flags="write blocking",
    keys=(keynum(2, "RW", "ACCESS", "DELETE"),),
    args=f"timeout numkeys key... {_WHERE} [COUNT count]",
    complexity="O(K)+O(M*log(N)), K keys, M members taken",
)
def bzmpop(session: Session, args: list[bytes]) -> bytes:
    """Takes members out of the first of some sorted sets, waiting for some if need be."""
    keys, is_lowest, count = parse_pop_of_many(args, 2, _ENDS)
    return _Pop(session, is_lowest, count).now_or_later(keys, args[1])


@command(
    "BZPOPMIN",
    group="sorted-set",
    since="5.0.0",
    arity=-3,
    flags="write noscript fast blocking",
    keys=(key_range(1, "RW", "ACCESS", "DELETE", last=-2),),
    args="key... timeout",
    complexity="O(log(N))",
)
def bzpopmin(session: Session, args: list[bytes]) -> bytes:
    """Takes the lowest member of the first of some sorted sets, waiting for one if need be."""
    return _Pop(session, True, None).now_or_later(args[1:-1], args[-1])


@command(
    "BZPOPMAX",
    group="sorted-set",
    since="5.0.0",
    arity=-3,
    flags="write noscript fast blocking",
    keys=(key_range(1, "RW", "ACCESS", "DELETE", last=-2),),
    args="key... timeout",
    complexity="O(log(N))",
)
def bzpopmax(session: Session, args: list[bytes]) -> bytes:
    """Takes the highest member of the first of some sorted sets, waiting for one if need be."""
    return _Pop(session, False, None).now_or_later(args[1:-1], args[-1])
