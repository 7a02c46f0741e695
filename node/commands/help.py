"""HELP of every container command, computed from the declarations."""

from ..registry import declared
from ..resp.encoder import array, simple


def help_reply(container_name: str) -> bytes:
    """The sub-commands with their syntax and summary, as status lines in an array."""
    spec = declared()[container_name]
    lines = [f"{container_name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for name, child in sorted(spec.subcommands.items()):
        lines.append(f"{name} {child.args}".rstrip())
        lines.append(f"    {child.summary}.")
    return array([simple(line.encode()) for line in lines])
