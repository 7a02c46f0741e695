"""Writes README's table of commands, which is computed from the declarations.

`python -m clustrio.tools.gen.command_table` brings README.md up to date between its two markers;
with `--check` nothing is written, and the exit status is 1 if the table is not up to date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...node.registry import Command, build_commands

README_PATH: Final = Path(__file__).parents[2] / "README.md"
BEGIN: Final = "<!-- commands: computed by tools/gen/command_table.py -->"
END: Final = "<!-- end of commands -->"

#: What redis-server 7.0 does not have is shown apart.
_ORACLE: Final = (7, 0)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _is_newer(command: Command) -> bool:
    return _version(command.spec.since)[:2] > _ORACLE


def _names(command: Command) -> Iterator[tuple[str, bool]]:
    """A command's name, or its sub-commands', and whether redis-server 7.0 lacks it."""
    if not command.subcommands:
        yield command.full_name.upper().replace("|", " "), _is_newer(command)
        return
    for child in command.subcommands.values():
        if child.full_name.rpartition("|")[2] != "help":
            yield from _names(child)


def _shown(command: Command) -> tuple[str, list[str]]:
    """One cell entry for a command, and what of it is newer than redis-server 7.0."""
    names = list(_names(command))
    newer = [name for name, is_newer in names if is_newer]
    parent = command.full_name.upper()
    children = [name.removeprefix(parent).strip() for name, is_newer in names if not is_newer]
    if not command.subcommands:
        return ("" if newer else parent), newer
    return (f"{parent} ({', '.join(sorted(children))})" if children else ""), newer


def table() -> str:
    """The table as Markdown."""
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for command in build_commands().values():
        old, new = groups.setdefault(command.spec.group, ([], []))
        shown, newer = _shown(command)
        if shown:
            old.append(shown)
        new.extend(newer)
    rows = ["| group | commands | newer than Redis 7.0 |", "|---|---|---|"]
    for group in sorted(groups):
        old, new = groups[group]
        rows.append(f"| {group} | {', '.join(sorted(old))} | {', '.join(sorted(new))} |")
    return "\n".join(rows)


def updated(readme: str) -> str:
    """README's text with the present table between its markers."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md lacks the markers {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """Bring the file up to date, or say whether it is."""
    present = README_PATH.read_text()
    wanted = updated(present)
    if arguments == ["--check"]:
        if present != wanted:
            print("README.md: run python -m clustrio.tools.gen.command_table", file=sys.stderr)
        return int(present != wanted)
    README_PATH.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
