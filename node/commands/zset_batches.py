"""Pipelines of one and the same sorted-set command in one go; see `batches`."""

from collections import deque
from collections.abc import Sequence

from ..batches import Replies, encoded, maybe_columns, maybe_shared, run_singly
from ..resp.alike import Requests
from ..resp.encoder import ONE, ZERO, integer
from ..session import Session
from ..values.numbers import parse_float
from ..values.zsetvalue import ZSetValue


def put_score(value: ZSetValue, member: bytes, score: float) -> float | None:
    """Add a member, or give it another score; returns the one that it had, None: it is new."""
    if not score and _keeps_plain_zero(value, member):
        score = 0.0
    return value.put(member, score)


def _keeps_plain_zero(value: ZSetValue, member: bytes) -> bool:
    """Where Redis keeps whole scores as integers, there is no negative zero."""
    if not value.is_compact:
        return False
    limits = value.limits
    return member in value or (
        len(value) < limits.zset_max_listpack_entries
        and len(member) <= limits.zset_max_listpack_value
    )


def _put_many(
    session: Session, value: ZSetValue, members: Sequence[bytes], scores: list[float]
) -> Replies[bytes]:
    # Whatever is needed of memory is on its way at once: see `look_up`.
    deque(map(value.get, members), 0)
    replies: list[bytes] = []
    changed = 0
    for member, score in zip(members, scores, strict=True):
        old = put_score(value, member, score)
        if old != score:
            changed += 1
        replies.append(ONE if old is None else ZERO)
    session.db.effects.dirty += changed
    return encoded(replies)


def zadd_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of ZADDs of one member each, without options, in one go."""
    columns = maybe_columns(requests, 4)
    if columns is None:
        return None
    keys = columns[1]
    value = maybe_shared(session, keys)
    if type(value) is ZSetValue:
        scores = [score for score in map(parse_float, columns[2]) if score is not None]
        if len(scores) == len(keys):
            return _put_many(session, value, columns[3], scores)
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    changed = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        score = parse_float(args[2])
        if type(value) is not ZSetValue or score is None:
            replies.append(run_singly(session, b"ZADD", args))
            continue
        old = put_score(value, args[3], score)
        if old != score:
            changed += 1
        replies.append(ONE if old is None else ZERO)
    session.db.effects.dirty += changed
    return encoded(replies)


def zrank_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of ZRANKs, without options, in one go."""
    db = session.db
    columns = maybe_columns(requests, 3)
    if columns is None:
        return None
    keys = columns[1]
    null = session.encoder.null
    value = maybe_shared(session, keys)
    if type(value) is ZSetValue:
        ranks = value.ranks(columns[2])
        db.hits += len(ranks)
        return encoded([null if rank is None else integer(rank) for rank in ranks])
    homes = db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    hits = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is not ZSetValue:
            replies.append(run_singly(session, b"ZRANK", args))
            continue
        hits += 1
        rank = value.rank(args[2])
        replies.append(null if rank is None else integer(rank))
    db.hits += hits
    return encoded(replies)
