"""Pipelines of one and the same sorted-set command in one go; see `batches`."""

from ..batches import Replies, encoded, maybe_homes_of, run_singly
from ..resp.alike import Requests
from ..resp.encoder import ONE, ZERO, integer
from ..session import Session
from ..values.numbers import parse_float
from ..values.zsetvalue import ZSetValue


def put_score(value: ZSetValue, member: bytes, score: float) -> None:
    """Add a member, or give it another score."""
    if not score and _keeps_plain_zero(value, member):
        score = 0.0
    value.put(member, score)


def _keeps_plain_zero(value: ZSetValue, member: bytes) -> bool:
    """Where Redis keeps whole scores as integers, there is no negative zero."""
    if not value.is_compact:
        return False
    limits = value.limits
    return member in value or (
        len(value) < limits.zset_max_listpack_entries
        and len(member) <= limits.zset_max_listpack_value
    )


def zadd_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of ZADDs of one member each, without options, in one go."""
    homes = maybe_homes_of(session, requests, 4)
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
        member = args[3]
        old = value.get(member)
        if old != score:
            put_score(value, member, score)
            changed += 1
        replies.append(ONE if old is None else ZERO)
    session.db.effects.dirty += changed
    return encoded(replies)


def zrank_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of ZRANKs, without options, in one go."""
    db = session.db
    homes = maybe_homes_of(session, requests, 3)
    if homes is None:
        return None
    null = session.encoder.null
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
