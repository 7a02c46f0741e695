"""Pipelines of one and the same list or hash command in one go; see `batches`."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from ..batches import Replies, encoded, maybe_columns, maybe_shared, run_singly, same_keys
from ..resp.alike import Requests
from ..resp.bulks import flat_row
from ..resp.encoder import ONE, ZERO, bulk, integer
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.listvalue import ListValue


def _integers(numbers: Sequence[int]) -> bytes:
    return b":%d\r\n" * len(numbers) % tuple(numbers)


def _push_many(session: Session, requests: Requests, name: bytes) -> Replies[Any] | None:
    """A pipeline of pushes of one element each in one go."""
    columns = maybe_columns(requests, 3)
    if columns is None:
        return None
    keys = columns[1]
    value = maybe_shared(session, keys)
    if type(value) is ListValue and value.is_quicklist:
        # All to one list.
        before = len(value)
        value.push_many(list(columns[2]), name == b"LPUSH")
        session.db.effects.dirty += len(requests)
        return Replies(_integers, range(before + 1, len(value) + 1))
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    push = ListValue.push_left if name == b"LPUSH" else ListValue.push_right
    replies: list[bytes] = []
    plain = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is ListValue and value.is_quicklist:
            push(value, args[2])
            plain += 1
            replies.append(integer(len(value)))
        else:
            replies.append(run_singly(session, name, args))
    session.db.effects.dirty += plain
    return encoded(replies)


def lpush_many(session: Session, requests: Requests) -> Replies[Any] | None:
    """A pipeline of LPUSHs in one go."""
    return _push_many(session, requests, b"LPUSH")


def rpush_many(session: Session, requests: Requests) -> Replies[Any] | None:
    """A pipeline of RPUSHs in one go."""
    return _push_many(session, requests, b"RPUSH")


def _pop_each(session: Session, requests: Requests, name: bytes) -> Replies[Any] | None:
    """A pipeline of pops of one element each in one go."""
    keys = same_keys(requests, 2)
    if keys is None:
        return None
    value = maybe_shared(session, keys)
    count = len(requests)
    if type(value) is ListValue and len(value) > count:
        # All from one list.
        is_left = name == b"LPOP"
        popped = value.pop_many_left(count) if is_left else value.pop_many_right(count)
        session.db.effects.dirty += count
        return Replies(flat_row, popped, bulk)
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    pop = ListValue.pop_left if name == b"LPOP" else ListValue.pop_right
    replies: list[bytes] = []
    plain = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is ListValue and len(value) > 1:
            element = pop(value)
            plain += 1
            replies.append(bulk(element))
        else:
            # The last element takes the key along.
            replies.append(run_singly(session, name, args))
    session.db.effects.dirty += plain
    return encoded(replies)


def lpop_many(session: Session, requests: Requests) -> Replies[Any] | None:
    """A pipeline of LPOPs in one go."""
    return _pop_each(session, requests, b"LPOP")


def rpop_many(session: Session, requests: Requests) -> Replies[Any] | None:
    """A pipeline of RPOPs in one go."""
    return _pop_each(session, requests, b"RPOP")


def hset_many(session: Session, requests: Requests) -> Replies[Any] | None:
    """A pipeline of HSETs of one field each in one go."""
    columns = maybe_columns(requests, 4)
    if columns is None:
        return None
    keys = columns[1]
    value = maybe_shared(session, keys)
    if type(value) is HashValue and not value.has_expiry:
        deque(map(value.get, columns[2]), 0)
        session.db.effects.dirty += len(requests)
        are_new = map(value.put, columns[2], columns[3])
        return encoded([ONE if is_new else ZERO for is_new in are_new])
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    plain = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is HashValue and not value.has_expiry:
            replies.append(ONE if value.put(args[2], args[3]) else ZERO)
            plain += 1
        else:
            replies.append(run_singly(session, b"HSET", args))
    session.db.effects.dirty += plain
    return encoded(replies)


def hget_many(session: Session, requests: Requests) -> Replies[Any] | None:
    """A pipeline of HGETs in one go."""
    db = session.db
    columns = maybe_columns(requests, 3)
    if columns is None:
        return None
    keys = columns[1]
    null = session.encoder.null
    value = maybe_shared(session, keys)
    if type(value) is HashValue and not value.has_expiry:
        # Looked up in one go: the processor waits for several places in memory at once.
        texts = list(map(value.get, columns[2]))
        db.hits += len(texts)
        return encoded([null if text is None else bulk(text) for text in texts])
    homes = db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    hits = misses = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if value is None:
            misses += 1
            replies.append(null)
            continue
        if type(value) is not HashValue or value.has_expiry:
            replies.append(run_singly(session, b"HGET", args))
            continue
        hits += 1
        text = value.get(args[2])
        if text is None:
            replies.append(null)
            continue
        replies.append(bulk(text))
    db.hits += hits
    db.misses += misses
    return encoded(replies)
