"""EVAL and its kin, and SCRIPT."""

from collections.abc import Callable

from ...slots.keyspec import keynum
from ..errors import NO_SCRIPT, CommandError
from ..registry import command, container
from ..resp.encoder import OK, array, bulk, integer
from ..scripting.rules import check_start
from ..scripting.scripts import Script, Scripts
from ..session import Session
from .arguments import required_integer
from .help import help_reply

_FLAGS = "noscript skip_monitor stale no_mandatory_keys"
_SHA_LENGTH = 40
_SYNTAX = "numkeys [key...] [arg...]"
_COST = "That of the script"
_ALL_SHARDS = ("request_policy:all_shards", "response_policy:one_succeeded")
_ALL_NODES = ("request_policy:all_nodes", "response_policy:all_succeeded")


#: How many keys there are, in the usual spellings.
_COUNTS = {b"%d" % count: count for count in range(100)}


def _run(
    session: Session,
    args: list[bytes],
    find: Callable[[Scripts, bytes], Script],
    read_only: bool,
) -> bytes:
    keys_count = _COUNTS.get(args[2])
    if keys_count is None or keys_count > len(args) - 3:
        keys_count = _count_keys(args)
    scripts = session.machine.scripts
    script = find(scripts, args[1])
    check_start(session, script.declaration, read_only=read_only)
    return scripts.interpreter.run(
        session,
        script.chunk,
        script.sha,
        args,
        keys_count,
        script.read_only_rules if read_only else script.rules,
    )


def _count_keys(args: list[bytes]) -> int:
    keys_count = required_integer(args[2])
    if keys_count > len(args) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if keys_count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    return keys_count


def _known(scripts: Scripts, sha: bytes) -> Script:
    script = scripts.maybe_find(sha)
    if script is None:
        raise NO_SCRIPT
    return script


_RW = keynum(2, "RW", "ACCESS", "UPDATE")
_RO = keynum(2, "RO", "ACCESS")


@command(
    "EVAL",
    group="scripting",
    since="2.6.0",
    arity=-3,
    flags=_FLAGS + " may_replicate",
    keys=(_RW,),
    args="script " + _SYNTAX,
    complexity=_COST,
)
def eval_(session: Session, args: list[bytes]) -> bytes:
    """Runs a script."""
    return _run(session, args, Scripts.load, False)


@command(
    "EVAL_RO",
    group="scripting",
    since="7.0.0",
    arity=-3,
    flags=_FLAGS + " readonly",
    keys=(_RO,),
    args="script " + _SYNTAX,
    complexity=_COST,
)
def eval_ro(session: Session, args: list[bytes]) -> bytes:
    """Runs a script that may not write."""
    return _run(session, args, Scripts.load, True)


@command(
    "EVALSHA",
    group="scripting",
    since="2.6.0",
    arity=-3,
    flags=_FLAGS + " may_replicate",
    keys=(_RW,),
    args="sha1 " + _SYNTAX,
    complexity=_COST,
)
def evalsha(session: Session, args: list[bytes]) -> bytes:
    """Runs a script that the server knows."""
    if len(args[1]) != _SHA_LENGTH:
        raise NO_SCRIPT
    return _run(session, args, _known, False)


@command(
    "EVALSHA_RO",
    group="scripting",
    since="7.0.0",
    arity=-3,
    flags=_FLAGS + " readonly",
    keys=(_RO,),
    args="sha1 " + _SYNTAX,
    complexity=_COST,
)
def evalsha_ro(session: Session, args: list[bytes]) -> bytes:
    """Runs a script that the server knows and that may not write."""
    if len(args[1]) != _SHA_LENGTH:
        raise NO_SCRIPT
    return _run(session, args, _known, True)


container("SCRIPT", group="scripting", since="2.6.0", summary="Looks after the known scripts.")


@command(
    "SCRIPT LOAD",
    group="scripting",
    since="2.6.0",
    arity=3,
    flags="noscript stale",
    args="script",
    complexity="O(N) in the length of the script",
    tips=_ALL_NODES,
)
def script_load(session: Session, args: list[bytes]) -> bytes:
    """Makes a script known without running it."""
    return bulk(session.machine.scripts.load(args[2]).sha)


@command(
    "SCRIPT EXISTS",
    group="scripting",
    since="2.6.0",
    arity=-3,
    flags="noscript",
    args="sha1...",
    complexity="O(1) per script",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
)
def script_exists(session: Session, args: list[bytes]) -> bytes:
    """Says of each digest whether its script is known."""
    scripts = session.machine.scripts
    return array([integer(scripts.maybe_find(sha) is not None) for sha in args[2:]])


@command(
    "SCRIPT FLUSH",
    group="scripting",
    since="2.6.0",
    arity=-2,
    flags="noscript",
    args="[ASYNC|SYNC]",
    complexity="O(N) in the number of scripts",
    tips=_ALL_NODES,
)
def script_flush(session: Session, args: list[bytes]) -> bytes:
    """Forgets all scripts."""
    if len(args) > 3 or (len(args) == 3 and args[2].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    session.machine.scripts.clear()
    return OK


@command(
    "SCRIPT KILL",
    group="scripting",
    since="2.6.0",
    arity=2,
    flags="noscript allow_busy",
    tips=_ALL_SHARDS,
)
def script_kill(session: Session, args: list[bytes]) -> bytes:
    """Ends the script that keeps the server busy, unless it has written."""
    session.machine.scripts.running.kill(is_function=False)
    return OK


@command(
    "SCRIPT DEBUG", group="scripting", since="3.2.0", arity=3, flags="noscript", args="YES|SYNC|NO"
)
def script_debug(session: Session, args: list[bytes]) -> bytes:
    """Would switch the debugger; there is none."""
    mode = args[2].upper()
    if mode not in (b"YES", b"SYNC", b"NO"):
        raise CommandError(b"ERR Use SCRIPT DEBUG YES/SYNC/NO")
    if mode == b"NO":
        return OK
    raise CommandError(b"ERR the script debugger is not available in this server")


@command("SCRIPT HELP", group="scripting", since="5.0.0", arity=2, flags="loading stale")
def script_help(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("SCRIPT")
