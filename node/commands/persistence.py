"""SAVE and its relatives; what they order, the runtime carries out (`machine.persistence`)."""

from typing import Final

from ..errors import SYNTAX, CommandError
from ..persistence.status import ChildKind
from ..registry import command
from ..resp.encoder import OK, integer, simple
from ..session import Session

_SAVE_RUNS: Final = CommandError(b"ERR Background save already in progress")
_REWRITE_RUNS: Final = CommandError(
    b"ERR Background append only file rewriting already in progress"
)
_CHILD_RUNS: Final = CommandError(
    b"ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
    b"order to schedule a BGSAVE whenever possible."
)
#: What Redis answers when it has nothing more to say.
_FAILED: Final = CommandError(b"ERR")
_REWRITE_FAILED: Final = CommandError(
    b"ERR Can't execute an AOF background rewriting. Please check the server logs for more "
    b"information."
)


@command(
    "SAVE",
    group="server",
    since="1.0.0",
    arity=1,
    flags="admin noscript no_async_loading no_multi",
    complexity="O(N) in the number of keys",
)
def save(session: Session, args: list[bytes]) -> bytes:
    """Writes a snapshot while everybody waits."""
    state = session.machine.persistence
    if state.child is ChildKind.SNAPSHOT:
        raise _SAVE_RUNS
    session.db.effects.propagate_instead(session.db.index)
    if not state.save_now():
        raise _FAILED
    return OK


@command(
    "BGSAVE",
    group="server",
    since="1.0.0",
    arity=-1,
    flags="admin noscript no_async_loading",
    args="[SCHEDULE]",
    complexity="O(1) for the clients; O(N) in the number of keys for a child process",
)
def background_save(session: Session, args: list[bytes]) -> bytes:
    """Writes a snapshot in the background."""
    is_patient = len(args) == 2 and args[1].upper() == b"SCHEDULE"
    if len(args) > 1 and not is_patient:
        raise SYNTAX
    state = session.machine.persistence
    if state.child is ChildKind.SNAPSHOT:
        raise _SAVE_RUNS
    if state.child is not None or not session.may_block:
        if not is_patient and session.may_block:
            raise _CHILD_RUNS
        state.is_save_scheduled = True
        return simple(b"Background saving scheduled")
    if not state.start_background_save():
        raise _FAILED
    return simple(b"Background saving started")


@command(
    "BGREWRITEAOF",
    group="server",
    since="1.0.0",
    arity=1,
    flags="admin noscript no_async_loading",
    complexity="O(1) for the clients; O(N) in the number of keys for a child process",
)
def rewrite_log(session: Session, args: list[bytes]) -> bytes:
    """Writes the append-only file anew, as short as possible, in the background."""
    state = session.machine.persistence
    if state.child is ChildKind.REWRITE:
        raise _REWRITE_RUNS
    if state.child is not None or not session.may_block:
        state.is_rewrite_scheduled = True
        # A person who asks does not care how often it failed before.
        state.failed_rewrites = 0
        return simple(b"Background append only file rewriting scheduled")
    if not state.start_rewrite():
        raise _REWRITE_FAILED
    return simple(b"Background append only file rewriting started")


@command(
    "LASTSAVE",
    group="server",
    since="1.0.0",
    arity=1,
    flags="loading stale fast",
    categories="admin dangerous",
    tips=("nondeterministic_output",),
)
def last_save(session: Session, args: list[bytes]) -> bytes:
    """Returns when the data was saved last; before the first time, when the server started."""
    return integer(session.machine.persistence.last_save_s)


# --- DEBUG RELOAD and LOADAOF
# --------------------------------------------------------------------

_RELOAD_WORDS: Final = frozenset({b"MERGE", b"NOFLUSH", b"NOSAVE"})


def debug_reload(session: Session, args: list[bytes]) -> bytes:
    """DEBUG RELOAD: save and load again."""
    words = {word.upper() for word in args[2:]}
    if not words <= _RELOAD_WORDS:
        raise CommandError(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    state = session.machine.persistence
    session.db.effects.propagate_instead(session.db.index)
    flush, save_before = b"NOFLUSH" not in words, b"NOSAVE" not in words
    if not state.reload(flush, save_before, b"MERGE" in words):
        raise CommandError(b"ERR Error trying to load the RDB dump, check server logs.")
    session.machine.log.warning("DB reloaded by DEBUG RELOAD")
    return OK


def debug_load_log(session: Session, args: list[bytes]) -> bytes:
    """DEBUG LOADAOF: load the append-only file again."""
    session.db.effects.propagate_instead(session.db.index)
    if not session.machine.persistence.reload_log():
        raise CommandError(b"ERR Error trying to load the AOF files, check server logs.")
    session.machine.log.warning("Append Only File loaded by DEBUG LOADAOF")
    return OK
