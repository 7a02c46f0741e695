"""The node as a whole: its end, its role, its drawings; and modules, which it has not."""

from typing import Final

from ..errors import NOT_AN_INTEGER, SYNTAX, CommandError
from ..registry import command, container
from ..resp.encoder import EMPTY_ARRAY, OK
from ..session import Session
from ..values.numbers import parse_integer
from ..version import CLUSTRIO_VERSION, REDIS_VERSION
from .help import help_reply
from .privileges import require_enabled

_NO_SHUTDOWN: Final = CommandError(b"ERR No shutdown in progress.")
_NO_WAITING: Final = CommandError(
    b"ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client"
)
_NO_MODULES: Final = CommandError(b"ERR modules cannot be loaded: this server is written in Python")
_NO_SUCH_MODULE: Final = CommandError(b"ERR Error unloading module: no such module with that name")
_SHUTDOWN_WORDS: Final = frozenset({b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT"})
_MODULE_FLAGS: Final = "admin noscript no_async_loading protected"


@command(
    "SHUTDOWN",
    group="server",
    since="1.0.0",
    arity=-1,
    flags="admin noscript loading stale no_multi allow_busy",
    args="[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
)
def shutdown(session: Session, args: list[bytes]) -> bytes:
    """Ends the server; there is no reply but the end of the connection."""
    words = {word.upper() for word in args[1:]}
    if not words <= _SHUTDOWN_WORDS or {b"SAVE", b"NOSAVE"} <= words:
        raise SYNTAX
    if b"ABORT" in words:
        if len(args) > 2:
            raise SYNTAX
        if not session.machine.shutdown.abort():
            raise _NO_SHUTDOWN
        return OK
    machine, is_now = session.machine, b"NOW" in words
    if not is_now and not session.may_block:
        raise _NO_WAITING
    running = machine.scripts.running
    if running.session is not None and b"NOSAVE" not in words:
        raise running.busy_error
    machine.log.warning("User requested shutdown...")
    save = None if not words & {b"SAVE", b"NOSAVE"} else b"SAVE" in words
    is_settled = machine.shutdown.begin(save, is_forced=b"FORCE" in words, is_now=is_now)
    if not is_settled:
        return machine.shutdown.park(session)
    # Nothing that stands behind SHUTDOWN in a pipeline may run.
    session.close(after_reply=True)
    running.abandon()
    return b""


# --- modules
# ---------------------------------------------------------------------------------------

container("MODULE", group="server", since="4.0.0", summary="Would look after modules.")


@command(
    "MODULE LIST",
    group="server",
    since="4.0.0",
    arity=2,
    flags="admin noscript",
    complexity="O(N) in the number of modules",
    tips=("nondeterministic_output_order",),
)
def module_list(session: Session, args: list[bytes]) -> bytes:
    """Lists the loaded modules: none."""
    return EMPTY_ARRAY


@command(
    "MODULE LOAD",
    group="server",
    since="4.0.0",
    arity=-3,
    flags=_MODULE_FLAGS,
    args="path [arg...]",
)
def module_load(session: Session, args: list[bytes]) -> bytes:
    """Refuses to load a module."""
    raise _NO_MODULES


@command(
    "MODULE LOADEX",
    group="server",
    since="7.0.0",
    arity=-3,
    flags=_MODULE_FLAGS,
    args="path [(CONFIG name value)...] [ARGS args...]",
)
def module_load_extended(session: Session, args: list[bytes]) -> bytes:
    """Refuses to load a module with a configuration."""
    raise _NO_MODULES


@command("MODULE UNLOAD", group="server", since="4.0.0", arity=3, flags=_MODULE_FLAGS, args="name")
def module_unload(session: Session, args: list[bytes]) -> bytes:
    """Refuses to unload a module, as there is none."""
    require_enabled(session, "MODULE", session.machine.config.enable_module_command)
    raise _NO_SUCH_MODULE


@command("MODULE HELP", group="server", since="5.0.0", arity=2, flags="loading stale")
def module_help(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("MODULE")


# --- drawings
# --------------------------------------------------------------------------------------

_WIDTH_DEFAULT: Final = 48
_HEIGHT_DEFAULT: Final = 9
_SIZE_MAX: Final = 1000
_LINKS: Final = ("\\", "/", " ")


@command(
    "LOLWUT",
    group="server",
    since="5.0.0",
    arity=-1,
    flags="readonly fast",
    args="[VERSION version:integer] [columns:integer] [rows:integer]",
    complexity="O(N) in the size of the drawing",
)
def lolwut(session: Session, args: list[bytes]) -> bytes:
    """Draws a web of nodes, a different one each time, and names the version."""
    rest = args[1:]
    if len(rest) >= 2 and rest[0].upper() == b"VERSION":
        if parse_integer(rest[1]) is None:
            raise NOT_AN_INTEGER
        rest = rest[2:]
    columns = _size(rest[0], _WIDTH_DEFAULT) if rest else _WIDTH_DEFAULT
    rows = _size(rest[1], _HEIGHT_DEFAULT) if len(rest) > 1 else _HEIGHT_DEFAULT
    drawing = _web(session, columns, rows)
    closing = f"\nRedis ver. {REDIS_VERSION}, by Clustrio {CLUSTRIO_VERSION}\n"
    return session.encoder.verbatim((drawing + closing).encode())


def _size(word: bytes, default: int) -> int:
    """A size that a client asked for, within bounds."""
    number = parse_integer(word)
    return default if number is None else min(max(1, number), _SIZE_MAX)


def _web(session: Session, columns: int, rows: int) -> str:
    """Rows of nodes, and between them links to left and right; some are missing."""
    rng = session.machine.rng
    lines: list[str] = []
    for row in range(rows):
        nodes = "---".join("o" if rng.randrange(5) else "*" for _ in range(-(-columns // 4)))
        lines.append(("  " if row % 2 else "") + nodes[:columns])
        if row < rows - 1:
            links = "".join(f" {_LINKS[rng.randrange(3)]}" for _ in range(columns // 2))
            lines.append(links.rstrip())
    return "\n".join(lines) + "\n"
