"""CONFIG: read and change the configuration of the running node, and keep it in its file."""

from typing import Protocol

from ..config.syntax import bytes_from, text_from
from ..errors import SYNTAX, CommandError
from ..registry import command, container
from ..resp.encoder import OK
from ..session import Session
from .help import help_reply
from .privileges import is_local

_FLAGS = "admin noscript loading stale"

container("CONFIG", group="server", since="2.0.0", summary="Looks after the configuration.")


class ConfigFile(Protocol):
    """The file that the configuration came from; its methods may raise OSError."""

    @property
    def path(self) -> str:
        """Where it is."""

    def read(self) -> str:
        """Its text; empty if it is gone."""

    def replace(self, text: str) -> None:
        """Give it a new text, so that it is never seen half written."""


@command(
    "CONFIG GET",
    group="server",
    since="2.0.0",
    arity=-3,
    flags=_FLAGS,
    args="parameter:pattern...",
    complexity="O(N) in the number of directives and patterns",
)
def get(session: Session, args: list[bytes]) -> bytes:
    """Returns the directives whose names match, with their values."""
    flat: list[bytes] = []
    for name, text in session.machine.config.get(map(text_from, args[2:])):
        flat += (bytes_from(name), bytes_from(text))
    return session.encoder.bulk_map(flat)


@command(
    "CONFIG SET",
    group="server",
    since="2.0.0",
    arity=-4,
    flags=_FLAGS,
    args="(parameter value)...",
    complexity="O(N) in the number of directives",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def set_(session: Session, args: list[bytes]) -> bytes:
    """Changes directives: all that are named, or none."""
    if len(args) % 2:
        raise SYNTAX
    machine = session.machine
    config = machine.config
    words = [*map(text_from, args[2:])]
    config.set(
        zip(words[::2], words[1::2], strict=True),
        is_local=is_local(session),
        is_loading=machine.gate.is_loading,
    )
    for warning in config.warnings:
        machine.log.warning(warning)
    config.warnings.clear()
    return OK


@command(
    "CONFIG REWRITE",
    group="server",
    since="2.8.0",
    arity=2,
    flags=_FLAGS,
    complexity="O(N) in the length of the file",
)
def rewrite(session: Session, args: list[bytes]) -> bytes:
    """Writes the configuration into its file, keeping the comments there."""
    machine = session.machine
    file = machine.config_file
    if file is None:
        raise CommandError(b"ERR The server is running without a config file")
    try:
        file.replace(machine.config.rewrite(file.read(), machine.accounts.lines()))
    except OSError as failure:
        reason = failure.strerror or str(failure)
        machine.log.warning(f"CONFIG REWRITE failed: {reason}")
        raise CommandError(b"ERR Rewriting config file: " + bytes_from(reason)) from None
    machine.log.notice("CONFIG REWRITE executed with success.")
    return OK


@command("CONFIG RESETSTAT", group="server", since="2.0.0", arity=2, flags=_FLAGS)
def reset_statistics(session: Session, args: list[bytes]) -> bytes:
    """Sets the statistics of INFO back to zero."""
    session.machine.traffic.reset()
    return OK


@command("CONFIG HELP", group="server", since="5.0.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("CONFIG")
