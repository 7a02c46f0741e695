"""INFO: the node about itself. What it tells stands in `observe/`."""

from ..config.syntax import text_from
from ..registry import command
from ..session import Session


@command(
    "INFO",
    group="server",
    since="1.0.0",
    arity=-1,
    flags="loading stale",
    categories="dangerous",
    args="[section...]",
    complexity="O(N) in the number of commands and clients",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def info(session: Session, args: list[bytes]) -> bytes:
    """Reports facts and statistics about the server."""
    machine = session.machine
    text = machine.info.text(machine, [*map(text_from, args[1:])])
    return session.encoder.verbatim(text.encode("utf-8", "surrogateescape"))
