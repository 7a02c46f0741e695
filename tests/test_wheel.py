"""An installed Clustrio is whole: the wheel holds every module of the tree, and no tests.

Packages are listed one by one in pyproject.toml, so one can be forgotten; every test that runs from
the tree would still pass.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from clustrio.tools.check.tidy import read_sources

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("slots", "gossip", "node", "tools")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    # setuptools builds inside the tree it is given: give it a copy.
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    junk = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=junk)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, tree)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command += ["--no-build-isolation", "--no-deps", "--no-index"]
    built = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(tree)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("clustrio-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_of_the_tree_is_in_the_wheel(wheel_names: set[str]) -> None:
    expected = {"clustrio/py.typed"}
    for source in read_sources(ROOT):
        if not source.path.startswith("tests/"):
            expected.add(f"clustrio/{source.path}")
    assert expected - wheel_names == set()


def test_nothing_else_is_in_the_wheel(wheel_names: set[str]) -> None:
    for name in wheel_names:
        parts = PurePosixPath(name).parts
        if parts[0].endswith(".dist-info"):
            continue
        assert parts[0] == "clustrio", f"{name}: a second top-level package"
        assert parts[1] != "tests", name
        assert ROOT.joinpath(*parts[1:]).is_file(), f"{name} is not in the tree"


def test_the_wheel_brings_the_commands_and_the_license(wheel_names: set[str]) -> None:
    endings = {"entry_points.txt", "METADATA", "LICENSE"}
    assert {PurePosixPath(name).name for name in wheel_names} >= endings
