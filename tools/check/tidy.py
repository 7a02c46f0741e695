"""The laws of this repository that neither ruff nor mypy knows, as checks on its source files.

    python -m clustrio.tools.check.tidy

Owns the laws and their wording; `ratchet.py` beside it owns the exceptions to the limits on length.
A law is a function from a source file to the places where it is broken; each says what to do
instead. A law that needs more than one file takes them all.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from attrs import frozen

from .ratchet import RATCHET_FILE, over_limit, read_ratchet

COLUMNS_MAX: Final = 100
#: Imports point only down, from a higher number to a lower one or among equals.
LAYERS: Final[Mapping[str, int]] = {
    "slots": 0,
    "gossip": 1,
    "node": 2,
    "node/runtime": 3,
    "node/__main__": 3,
    "tools": 4,
    "tests": 5,
}
#: Up to this layer nothing may wait, look at a clock, draw lots or touch the outside.
PURE_LAYER_MAX: Final = 2
IMPURE: Final[Mapping[str, str]] = {
    "asyncio": "trio, in node/runtime/",
    "datetime": "`now` in integer milliseconds, handed in",
    "io": "bytes, handed in and out",
    "logging": "an event, or the log that the machine was given",
    "multiprocessing": "node/runtime/",
    "os": "node/runtime/ for the disk, a handed-in generator for randomness",
    "pathlib": "node/runtime/ for the disk",
    "random": "a seeded generator, handed in",
    "secrets": "a seeded generator, handed in",
    "select": "node/runtime/",
    "selectors": "node/runtime/",
    "signal": "node/runtime/",
    "socket": "bytes, handed in and out",
    "ssl": "node/runtime/",
    "subprocess": "node/runtime/",
    "threading": "plain calls: one task owns the state",
    "time": "`now` in integer milliseconds, handed in",
    "trio": "node/runtime/",
    "uuid": "a seeded generator, handed in",
}
#: Imports that are wrong everywhere.
BANNED_IMPORTS: Final[Mapping[str, str]] = {
    "asyncio": "trio",
    "unittest.mock": "a fake that keeps the promises of what it stands for",
    "mock": "a fake that keeps the promises of what it stands for",
}
#: Abbreviations, and names that say nothing, with what to write instead.
BANNED_WORDS: Final[Mapping[str, str]] = {
    "addr": "address",
    "buf": "buffer",
    "cfg": "config",
    "cmd": "command",
    "cnt": "count",
    "conn": "connection",
    "ctx": "context",
    "elem": "element",
    "helper": "what it does",
    "helpers": "what they do",
    "idx": "index",
    "mgr": "what it manages",
    "misc": "what it holds",
    "msg": "message",
    "num": "count or number",
    "pos": "position",
    "ptr": "index or reference",
    "req": "request",
    "ret": "result",
    "tmp": "what it holds",
    "util": "what it does",
    "utils": "what they do",
    "val": "value",
}
#: Names that are not ours to choose: fixtures of pytest.
_FOREIGN_NAMES: Final = frozenset({"tmp_path", "tmp_path_factory"})
#: Redis chose the names of its directives.
_FOREIGN_NAME_FILES: Final = "node/config/declarations"
_LEFTOVER: Final = re.compile(r"\b(" + "TO" + r"DO|FIX" + r"ME)\b")
_MACHINE_PATH: Final = re.compile(r"(?<![\w.:/])/(?:work|home|root|Users)/\w")
_SKIPPED_FOLDERS: Final = frozenset({"build", "dist", "__pycache__", "node_modules"})


@frozen
class Violation:
    """One broken law: where, and what to do."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@frozen
class Source:
    """One Python file; `path` is relative to the root, with slashes."""

    path: str
    text: str
    tree: ast.Module

    @property
    def layer(self) -> int | None:
        """The number of its layer; None for files at the root."""
        return layer_of(PurePosixPath(self.path).with_suffix("").parts)


def layer_of(parts: Sequence[str]) -> int | None:
    """The layer of a module, given as the parts of its path."""
    for depth in (2, 1):
        layer = LAYERS.get("/".join(parts[:depth]))
        if layer is not None:
            return layer
    return None


# --- imports -------------------------------------------------------------------------------------


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`, which exist for the type checker alone."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield other
                yield from _runtime_nodes(other)
            continue
        yield child
        yield from _runtime_nodes(child)


def imports_of(source: Source) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every module that a file imports when it runs."""
    package = ["clustrio", *PurePosixPath(source.path).parent.parts]
    for node in _runtime_nodes(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def _matches(name: str, banned: str) -> bool:
    return name == banned or name.startswith(banned + ".")


def layers(source: Source) -> Iterator[Violation]:
    """Imports point only down."""
    own = source.layer
    for line, name in imports_of(source):
        parts = name.split(".")
        if own is None or parts[0] != "clustrio" or len(parts) < 2:
            continue
        other = layer_of(parts[1:])
        if other is not None and other > own:
            yield Violation(
                source.path, line, f"imports {name}, which lies above: imports point only down"
            )


def purity(source: Source) -> Iterator[Violation]:
    """The layers below `node/runtime/` touch no clock, no chance, and nothing outside."""
    if source.layer is None or source.layer > PURE_LAYER_MAX:
        return
    for line, name in imports_of(source):
        for banned, instead in IMPURE.items():
            if _matches(name, banned):
                yield Violation(source.path, line, f"imports {banned} in a pure package: {instead}")


def banned_imports(source: Source) -> Iterator[Violation]:
    """Some modules have a better replacement everywhere."""
    for line, name in imports_of(source):
        for banned, instead in BANNED_IMPORTS.items():
            if _matches(name, banned):
                yield Violation(source.path, line, f"imports {banned}: use {instead}")


# --- names ---------------------------------------------------------------------------------------


def _defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def _words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")


def banned_names(source: Source) -> Iterator[Violation]:
    """Names are words, and say what they name."""
    if source.path.startswith(_FOREIGN_NAME_FILES):
        return
    stem = PurePosixPath(source.path).stem
    for line, name in [(1, stem), *_defined_names(source.tree)]:
        for word in _words(name):
            if word in BANNED_WORDS and name not in _FOREIGN_NAMES:
                yield Violation(
                    source.path, line, f"the name {name!r} holds {word!r}: {BANNED_WORDS[word]}"
                )


# --- text ----------------------------------------------------------------------------------------


def docstring(source: Source) -> Iterator[Violation]:
    """Each module opens with what it owns and its rules."""
    if not source.text and source.path.startswith("tests/"):
        # A folder of tests owns nothing beyond its tests.
        return
    if ast.get_docstring(source.tree) is None:
        yield Violation(source.path, 1, "opens without a docstring: say what the module owns")


def columns(source: Source) -> Iterator[Violation]:
    """Two files fit side by side on a screen."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > COLUMNS_MAX:
            yield Violation(source.path, number, f"{len(line)} columns, {COLUMNS_MAX} at most")


def leftovers(source: Source) -> Iterator[Violation]:
    """What is left to do is done, or stands in an issue."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := _LEFTOVER.search(line):
            yield Violation(source.path, number, f"{found[0]} left: do it, or open an issue")


def machine_paths(source: Source) -> Iterator[Violation]:
    """Nothing depends on, or tells of, one person's machine."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := _MACHINE_PATH.search(line):
            yield Violation(source.path, number, f"{found[0]}... is a path of one machine only")


# --- behaviour -----------------------------------------------------------------------------------


def silent_except(source: Source) -> Iterator[Violation]:
    """No failure of any kind is dropped without a word."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "everything"
        is_broad = caught in ("everything", "Exception", "BaseException")
        if is_broad and all(isinstance(part, ast.Pass) for part in node.body):
            yield Violation(source.path, node.lineno, f"drops {caught}: name the error, or report")


def sleeping_tests(source: Source) -> Iterator[Violation]:
    """Tests of pure code never wait; only those with real processes or sockets may."""
    if not source.path.startswith("tests/"):
        return
    if any(
        _matches(name, "subprocess") or _matches(name, "socket") for _, name in imports_of(source)
    ):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "trio.sleep"):
            yield Violation(source.path, node.lineno, "sleeps: hand in a later `now` instead")


Law = Callable[[Source], Iterator[Violation]]
LAWS: Final[Sequence[Law]] = (
    layers,
    purity,
    banned_imports,
    banned_names,
    docstring,
    columns,
    leftovers,
    machine_paths,
    silent_except,
    sleeping_tests,
)


# --- the whole tree ------------------------------------------------------------------------------


def read_sources(root: Path) -> list[Source]:
    """Every Python file of the repository, without what is built or installed."""
    sources = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        folders = relative.parts[:-1]
        if any(part.startswith(".") or part in _SKIPPED_FOLDERS for part in folders):
            continue
        text = path.read_text(encoding="utf-8")
        sources.append(Source(relative.as_posix(), text, ast.parse(text, relative.as_posix())))
    return sources


def lengths(root: Path, sources: Sequence[Source]) -> Iterator[Violation]:
    """Files and functions are short; the exceptions may only shrink."""
    allowed = read_ratchet(root)
    sizes = {
        size.place: size for source in sources for size in over_limit(source.path, source.tree)
    }
    for place, size in sizes.items():
        limit = allowed.get(place)
        if limit is None:
            text = f"{place} has {size.count} lines, {size.limit} at most: split it"
            yield Violation(size.path, size.line, text)
        elif size.count > limit:
            text = f"{place} grew from {limit} to {size.count} lines: split it"
            yield Violation(size.path, size.line, text)
        elif size.count < limit:
            text = f"{place} shrank to {size.count} lines: write that into {RATCHET_FILE}"
            yield Violation(size.path, size.line, text)
    for place in allowed.keys() - sizes.keys():
        yield Violation(RATCHET_FILE, 1, f"{place} is within the limit now: remove its line")


def packages(root: Path, sources: Sequence[Source]) -> Iterator[Violation]:
    """Every package is listed in pyproject.toml, or an installed Clustrio would lack it."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(settings["tool"]["setuptools"]["packages"])
    found = set()
    for source in sources:
        folders = PurePosixPath(source.path).parent.parts
        if not folders and source.path != "__init__.py":
            yield Violation(source.path, 1, "a module at the root: move it into a package")
        if folders[:1] != ("tests",):
            found.add(".".join(["clustrio", *folders]))
    for package in sorted(found - listed):
        yield Violation("pyproject.toml", 1, f"`packages` lacks {package}")
    for package in sorted(listed - found):
        yield Violation("pyproject.toml", 1, f"`packages` lists {package}, which does not exist")


def violations(root: Path) -> list[Violation]:
    """All broken laws of the tree under a root."""
    sources = read_sources(root)
    found = [each for source in sources for law in LAWS for each in law(source)]
    return [*found, *lengths(root, sources), *packages(root, sources)]


def main() -> int:
    """Print what is broken; the exit code says whether anything is."""
    found = violations(Path(__file__).resolve().parents[2])
    for violation in found:
        print(violation)
    print(f"tidy: {len(found)} violations" if found else "tidy: all laws are kept")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
