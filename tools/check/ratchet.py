"""Limits on length, and the list of today's exceptions, which may only shrink.

The list is `ratchet.txt` beside this file: a place and its size a line. A place is a file, or a
file and a function, `path::Class.method`. A new exception is not added by hand: the code is split.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

FILE_LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 70
RATCHET_FILE: Final = "tools/check/ratchet.txt"


@frozen
class Size:
    """A file or function that is longer than it should be."""

    place: str
    path: str
    line: int
    count: int
    limit: int


def read_ratchet(root: Path) -> dict[str, int]:
    """The exceptions: place to size."""
    path = root / RATCHET_FILE
    if not path.exists():
        return {}
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.rsplit(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {place: int(size) for place, size in pairs}


def over_limit(path: str, tree: ast.Module) -> Iterator[Size]:
    """What is too long in a file, and the file itself."""
    last_line = max((getattr(node, "end_lineno", 1) for node in tree.body), default=1)
    if last_line > FILE_LINES_MAX:
        yield Size(path, path, 1, last_line, FILE_LINES_MAX)
    yield from _long_functions(path, tree, "")


def _long_functions(path: str, node: ast.AST, prefix: str) -> Iterator[Size]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}.{child.name}" if prefix else child.name
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            assert child.end_lineno is not None
            count = child.end_lineno - child.lineno + 1
            if count > FUNCTION_LINES_MAX:
                yield Size(f"{path}::{name}", path, child.lineno, count, FUNCTION_LINES_MAX)
        yield from _long_functions(path, child, name)
