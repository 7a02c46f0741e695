"""SLOWLOG: the commands that took too long. COMMANDLOG: these, and large requests and replies."""

from typing import Final

from ..errors import CommandError, unknown_form
from ..registry import command, container
from ..resp.encoder import OK, array, bulk, bulk_array, integer
from ..session import Session
from ..slowlog import CommandLog
from ..values.numbers import parse_integer
from .help import help_reply

_FLAGS = "admin loading stale"
_COUNT_DEFAULT: Final = 10
_BAD_COUNT: Final = CommandError(b"ERR count should be greater than or equal to -1")

_BAD_TYPE: Final = CommandError(
    b"ERR type should be one of the following: slow, large-request, large-reply"
)

container("SLOWLOG", group="server", since="2.2.12", summary="Holds the latest slow commands.")


@command(
    "SLOWLOG GET",
    group="server",
    since="2.2.12",
    arity=-2,
    flags=_FLAGS,
    args="[count]",
    complexity="O(N) in the number of entries returned",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
)
def get(session: Session, args: list[bytes]) -> bytes:
    """Returns the latest entries: number, time, microseconds, request, client and its name."""
    if len(args) > 3:
        raise unknown_form("SLOWLOG", args[1])
    count = _count_from(args[2]) if len(args) == 3 else _COUNT_DEFAULT
    return _shown(session.machine.command_logs.slow, count)


def _count_from(word: bytes) -> int:
    number = parse_integer(word)
    if number is None or number < -1:
        raise _BAD_COUNT
    return number


def _shown(log: CommandLog, count: int) -> bytes:
    return array(
        [
            array(
                [
                    integer(entry.id),
                    integer(entry.unix_time_s),
                    integer(entry.figure),
                    bulk_array(entry.args),
                    bulk(entry.address),
                    bulk(entry.client_name),
                ]
            )
            for entry in log.newest(count)
        ]
    )


@command(
    "SLOWLOG LEN",
    group="server",
    since="2.2.12",
    arity=2,
    flags=_FLAGS,
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)
def length(session: Session, args: list[bytes]) -> bytes:
    """Returns how many entries there are."""
    return integer(len(session.machine.command_logs.slow))


@command(
    "SLOWLOG RESET",
    group="server",
    since="2.2.12",
    arity=2,
    flags=_FLAGS,
    complexity="O(N) in the number of entries",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def reset(session: Session, args: list[bytes]) -> bytes:
    """Forgets all entries."""
    session.machine.command_logs.slow.clear()
    return OK


@command("SLOWLOG HELP", group="server", since="6.2.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("SLOWLOG")


# --- COMMANDLOG ----------------------------------------------------------------------------------

container(
    "COMMANDLOG",
    group="server",
    since="8.1.0",
    summary="Holds the latest slow commands, large requests and large replies.",
)


def _log_from(session: Session, word: bytes) -> CommandLog:
    logs = session.machine.command_logs
    match word.lower():
        case b"slow":
            return logs.slow
        case b"large-request":
            return logs.large_requests
        case b"large-reply":
            return logs.large_replies
    raise _BAD_TYPE


@command(
    "COMMANDLOG GET",
    group="server",
    since="8.1.0",
    arity=4,
    flags=_FLAGS,
    args="count type",
    complexity="O(N) in the number of entries returned",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
)
def get_from(session: Session, args: list[bytes]) -> bytes:
    """Returns the latest entries of a log: as SLOWLOG GET, with bytes in place of time."""
    count = _count_from(args[2])
    return _shown(_log_from(session, args[3]), count)


@command(
    "COMMANDLOG LEN",
    group="server",
    since="8.1.0",
    arity=3,
    flags=_FLAGS,
    args="type",
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)
def length_of(session: Session, args: list[bytes]) -> bytes:
    """Returns how many entries a log has."""
    return integer(len(_log_from(session, args[2])))


@command(
    "COMMANDLOG RESET",
    group="server",
    since="8.1.0",
    arity=3,
    flags=_FLAGS,
    args="type",
    complexity="O(N) in the number of entries",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def reset_of(session: Session, args: list[bytes]) -> bytes:
    """Forgets all entries of a log."""
    _log_from(session, args[2]).clear()
    return OK


@command("COMMANDLOG HELP", group="server", since="8.1.0", arity=2, flags="loading stale")
def help_of(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("COMMANDLOG")
