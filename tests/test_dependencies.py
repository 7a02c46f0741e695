"""Whatever the server imports is declared, and whatever is declared is imported."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVER = ("slots", "gossip", "node")
ALL = (*SERVER, "tools")
#: Imported where it is there: a client library that a user of LocalCluster brings along.
BROUGHT_ALONG = {"redis", "pytest"}


def imported(*folders: str) -> set[str]:
    """The distributions that files in these folders import from."""
    names: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for statement in ast.walk(ast.parse(path.read_text())):
            if isinstance(statement, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in statement.names}
            elif isinstance(statement, ast.ImportFrom) and not statement.level:
                names.add(str(statement.module).partition(".")[0])
    owners = packages_distributions()
    return {owners.get(name, [name])[0] for name in names - sys.stdlib_module_names}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split("[<>=]", line)[0] for line in project["dependencies"]}


def test_the_server_imports_nothing_that_is_not_declared() -> None:
    assert imported(*SERVER) - declared() - {"clustrio"} == set()


def test_the_tools_import_nothing_that_is_not_declared() -> None:
    assert imported(*ALL) - declared() - {"clustrio"} - BROUGHT_ALONG == set()


def test_nothing_is_declared_that_is_not_imported() -> None:
    assert declared() - imported(*ALL) == set()
