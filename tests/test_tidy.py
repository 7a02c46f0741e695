"""The laws of the repository hold, and each law catches what it is there to catch."""

from pathlib import Path

import pytest

from clustrio.tools.check.ratchet import RATCHET_FILE
from clustrio.tools.check.tidy import LAWS, violations

ROOT = Path(__file__).resolve().parents[1]
DOC = '"""A module."""\n'
PYPROJECT = '[tool.setuptools]\npackages = ["clustrio", "clustrio.node", "clustrio.node.runtime"]\n'
SKELETON = {
    "__init__.py": DOC,
    "pyproject.toml": PYPROJECT,
    "node/__init__.py": DOC,
    "node/runtime/__init__.py": DOC,
    "tests/__init__.py": DOC,
}


def _broken(root: Path, files: dict[str, str]) -> list[str]:
    for path, text in (SKELETON | files).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return [str(violation) for violation in violations(root)]


def test_all_laws_are_kept() -> None:
    found = violations(ROOT)
    assert not found, "\n" + "\n".join(map(str, found))


def test_a_clean_tree_breaks_no_law(tmp_path: Path) -> None:
    assert _broken(tmp_path, {}) == []


PLANTED = {
    "layers": ("node/a.py", "from .runtime import server\n", "imports clustrio.node.runtime"),
    "layers, absolute": ("node/a.py", "import clustrio.tools.sim\n", "imports point only down"),
    "layers, main": ("node/a.py", "from .__main__ import main\n", "imports point only down"),
    "layers, in a function": (
        "node/a.py",
        "def f() -> None:\n    from ..tests import x\n",
        "imports point only down",
    ),
    "purity": ("node/a.py", "import time\n", "imports time in a pure package: `now`"),
    "purity, from": ("node/a.py", "from os.path import join\n", "imports os in a pure"),
    "purity, trio": ("node/a.py", "from trio.lowlevel import x\n", "imports trio in a pure"),
    "banned_imports": ("node/runtime/a.py", "import asyncio\n", "use trio"),
    "banned_imports, mocks": ("tests/a.py", "from unittest.mock import Mock\n", "use a fake"),
    "banned_names, variable": ("node/a.py", "msg = 1\n", "'msg': message"),
    "banned_names, argument": ("node/a.py", "def f(idx: int) -> None: ...\n", "'idx': index"),
    "banned_names, class": ("node/a.py", "class ConnTable: ...\n", "'conn': connection"),
    "banned_names, module": ("node/utils.py", "", "'utils': what they do"),
    "columns": ("node/a.py", "#" * 101 + "\n", "101 columns"),
    "leftovers": ("node/a.py", "# TO" + "DO: later\n", "do it, or open an issue"),
    "machine_paths": ("node/a.py", "a = '/ho" + "me/someone/x'\n", "one machine only"),
    "silent_except": ("node/a.py", "try: ...\nexcept Exception: pass\n", "drops Exception"),
    "silent_except, bare": ("node/a.py", "try: ...\nexcept: pass\n", "drops everything"),
    "sleeping_tests": ("tests/a.py", "import time\ntime.sleep(1)\n", "hand in a later `now`"),
    "lengths, file": ("node/a.py", "a = 1\n" * 500, "node/a.py has 501 lines, 500 at most"),
    "lengths, function": (
        "node/a.py",
        "class A:\n    def f(self) -> None:\n" + "        self.f()\n" * 70,
        "node/a.py::A.f has 71 lines, 70 at most",
    ),
    "packages, not listed": ("node/new/__init__.py", "", "`packages` lacks clustrio.node.new"),
    "packages, at the root": ("a.py", "", "move it into a package"),
}


@pytest.mark.parametrize("law", PLANTED)
def test_a_planted_violation_is_found(law: str, tmp_path: Path) -> None:
    path, text, expected = PLANTED[law]
    found = _broken(tmp_path, {path: DOC + text})
    assert len(found) == 1, found
    assert expected in found[0]


def test_a_module_without_a_docstring_is_found(tmp_path: Path) -> None:
    assert "without a docstring" in _broken(tmp_path, {"node/a.py": "a = 1\n"})[0]


def test_a_package_that_is_listed_but_gone_is_found(tmp_path: Path) -> None:
    gone = PYPROJECT.replace('"clustrio",', '"clustrio", "clustrio.gone",')
    assert "does not exist" in _broken(tmp_path, {"pyproject.toml": gone})[0]


def test_every_law_has_its_planted_violation() -> None:
    planted = {name.partition(",")[0] for name in PLANTED} | {"docstring"}
    assert {law.__name__ for law in LAWS} <= planted


def test_what_only_the_type_checker_imports_is_free(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from random import Random\n"
    assert _broken(tmp_path, {"node/a.py": DOC + text}) == []


RATCHET = {
    "kept": ("node/a.py 501\n", []),
    "grown": ("node/a.py 500\n", ["grew from 500 to 501 lines"]),
    "shrunk": ("node/a.py 502\n", ["shrank to 501 lines"]),
    "gone": ("node/a.py 501\nnode/b.py 700\n", ["node/b.py is within the limit now"]),
}


@pytest.mark.parametrize("case", RATCHET)
def test_the_ratchet_only_turns_one_way(case: str, tmp_path: Path) -> None:
    ratchet, expected = RATCHET[case]
    found = _broken(tmp_path, {"node/a.py": DOC + "a = 1\n" * 500, RATCHET_FILE: ratchet})
    assert len(found) == len(expected)
    assert all(text in line for text, line in zip(expected, found, strict=True))
