"""OBJECT: a look behind a key."""

from typing import Any, Final

from ...slots.keyspec import one_key
from ..errors import CommandError
from ..eviction import Policy
from ..registry import command, container
from ..resp.encoder import ONE, bulk, integer
from ..session import Session
from ..values.kinds import SHARED_COUNT, encoding_name, is_shared_integer
from .help import help_reply

_KEY: Final = (one_key(2, "RO"),)
_TIPS: Final = ("nondeterministic_output",)
_NO_IDLE_TIME: Final = CommandError(
    b"ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
    b"switching between policies at runtime LRU and LFU data will take some time to adjust.",
)
_NO_FREQUENCY: Final = CommandError(
    b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
    b"when switching between policies at runtime LRU and LFU data will take some time to adjust.",
)

container(
    "OBJECT",
    group="generic",
    since="2.2.3",
    summary="Tells what the server knows of the value under a key",
)


def _look(session: Session, key: bytes) -> Any | None:
    """The value under a key: counted as a hit or a miss, but not as a use of the key."""
    db = session.db
    value = db.peek(key)
    if value is None:
        db.misses += 1
    else:
        db.hits += 1
    return value


@command(
    "OBJECT ENCODING",
    group="generic",
    since="2.2.3",
    arity=3,
    flags="readonly",
    keys=_KEY,
    args="key",
    tips=_TIPS,
)
def encoding(session: Session, args: list[bytes]) -> bytes:
    """Returns the name of the form in which a value is kept."""
    value = _look(session, args[2])
    if value is None:
        return session.encoder.null
    return bulk(encoding_name(value, session.machine.config))


@command(
    "OBJECT FREQ",
    group="generic",
    since="4.0.0",
    arity=3,
    flags="readonly",
    keys=_KEY,
    args="key",
    tips=_TIPS,
)
def frequency(session: Session, args: list[bytes]) -> bytes:
    """Returns the counter by which an LFU policy judges how often a key is used."""
    key = args[2]
    if _look(session, key) is None:
        return session.encoder.null
    db = session.db
    access = db.access
    if access is None or not _policy(session).uses_lfu:
        raise _NO_FREQUENCY
    return integer(access.frequency(db.slot_of(key), key))


@command(
    "OBJECT IDLETIME",
    group="generic",
    since="2.2.3",
    arity=3,
    flags="readonly",
    keys=_KEY,
    args="key",
    tips=_TIPS,
)
def idle_time(session: Session, args: list[bytes]) -> bytes:
    """Returns for how many seconds a key was not used; 0 while no LRU policy asks for it."""
    key = args[2]
    if _look(session, key) is None:
        return session.encoder.null
    if _policy(session).uses_lfu:
        raise _NO_IDLE_TIME
    db = session.db
    access = db.access
    return integer(0 if access is None else access.idle_ms(db.slot_of(key), key) // 1000)


@command(
    "OBJECT REFCOUNT",
    group="generic",
    since="2.2.3",
    arity=3,
    flags="readonly",
    keys=_KEY,
    args="key",
    tips=_TIPS,
)
def reference_count(session: Session, args: list[bytes]) -> bytes:
    """Returns in how many places a value is used; nothing but small numbers is ever shared."""
    value = _look(session, args[2])
    if value is None:
        return session.encoder.null
    return integer(SHARED_COUNT) if is_shared_integer(value) else ONE


@command(
    "OBJECT HELP",
    group="generic",
    since="6.2.0",
    arity=2,
    flags="loading stale",
)
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("OBJECT")


def _policy(session: Session) -> Policy:
    return session.machine.memory.policy
