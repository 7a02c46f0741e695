"""Prints `cluster.conf.example`, which is computed from the declared directives.

`python -m clustrio.tools.gen.conf_example > cluster.conf.example` brings the file up to date;
with `--check` nothing is printed, and the exit status is 1 if the file is not up to date.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from ...node.config.declarations import AllDirectives
from ...node.config.directive import AnyDirective, Trait

EXAMPLE_PATH: Final = Path(__file__).parents[2] / "cluster.conf.example"

_WIDTH: Final = 98
_HEAD: Final = """\
Configuration of a Clustrio node: clustrio-server /path/to/cluster.conf [--directive value ...]

The syntax is that of redis.conf: a directive and its arguments on each line, in quotes where they
hold spaces. What comes later wins, and the command line comes last. Every directive is shown with
its default; "" stands for nothing. The few lines that are not comments make a node of a cluster.

Sizes: 1k is 1000 bytes, 1kb is 1024; likewise m and mb, g and gb.

CONFIG SET cannot change "fixed" directives, and "protected" ones only where
enable-protected-configs allows it. "also" tells a name that older versions used. The directives at
the end are accepted because redis.conf has them, but nothing here obeys them."""
_STARTERS: Final = (
    "port 7000",
    "cluster-enabled yes",
    "cluster-config-file nodes-7000.conf",
    "cluster-node-timeout 5000",
    "appendonly yes",
)
_OTHER_LINES: Final = """\
These are no directives, and CONFIG SET does not know them:

include /path/to/other.conf
rename-command COMMAND new-name-or-""
user name rules..."""


def example_text() -> str:
    """The whole file."""
    directives = [each for each in AllDirectives.directives() if not each.has(Trait.HIDDEN)]
    blocks = [_comment(_HEAD), "\n".join(_STARTERS)]
    obeyed = [each for each in directives if each.supported]
    for section, members in groupby(obeyed, key=lambda each: each.section):
        blocks.append(_title(section))
        blocks += [_entry(each) for each in members]
    blocks += [_title("Other lines"), _comment(_OTHER_LINES)]
    blocks.append(_title("Accepted, but without effect"))
    blocks.append(
        "\n".join(line for each in directives if not each.supported for line in _lines(each)),
    )
    return "\n\n".join(blocks) + "\n"


def _title(text: str) -> str:
    return f"# {f' {text} '.center(_WIDTH - 2, '-')}"


def _comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.split("\n"))


def _entry(directive: AnyDirective) -> str:
    facts = [directive.kind.hint()]
    if directive.has(Trait.IMMUTABLE):
        facts.append("fixed")
    if directive.has(Trait.PROTECTED):
        facts.append("protected")
    if directive.alias is not None:
        facts.append(f"also {directive.alias}")
    remark = "; ".join(fact for fact in facts if fact)
    words = f"{directive.doc} ({remark})" if remark else directive.doc
    comment = textwrap.fill(
        words, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return "\n".join([comment, *_lines(directive)])


def _lines(directive: AnyDirective) -> Iterator[str]:
    """The default, commented out."""
    kind = directive.kind
    found = [line.arguments for line in kind.rewrite_lines(directive.default, directive.default)]
    for arguments in found or [kind.text(directive.default) or kind.absent_arguments]:
        yield f"#{directive.name} {arguments}"


def main(arguments: list[str]) -> int:
    """Print the text, or with `--check` compare it with the file."""
    if arguments == ["--check"]:
        if EXAMPLE_PATH.is_file() and EXAMPLE_PATH.read_text(encoding="utf-8") == example_text():
            return 0
        print(f"{EXAMPLE_PATH.name} is stale: python -m {__spec__.name} > {EXAMPLE_PATH.name}")
        return 1
    if arguments:
        print("usage: python -m clustrio.tools.gen.conf_example [--check]", file=sys.stderr)
        return 2
    sys.stdout.write(example_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
