"""SLOWLOG: the commands that took too long."""

from typing import Final

from ..errors import CommandError, unknown_form
from ..registry import command, container
from ..resp.encoder import OK, array, bulk, bulk_array, integer
from ..session import Session
from ..values.numbers import parse_integer
from .help import help_reply

_FLAGS = "admin loading stale"
_COUNT_DEFAULT: Final = 10
_BAD_COUNT: Final = CommandError(b"ERR count should be greater than or equal to -1")

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
    count = _COUNT_DEFAULT
    if len(args) == 3:
        number = parse_integer(args[2])
        if number is None or number < -1:
            raise _BAD_COUNT
        count = number
    return array(
        [
            array(
                [
                    integer(entry.id),
                    integer(entry.unix_time_s),
                    integer(entry.microseconds),
                    bulk_array(entry.args),
                    bulk(entry.address),
                    bulk(entry.client_name),
                ]
            )
            for entry in session.machine.slowlog.newest(count)
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
    return integer(len(session.machine.slowlog))


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
    session.machine.slowlog.clear()
    return OK


@command("SLOWLOG HELP", group="server", since="6.2.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("SLOWLOG")
