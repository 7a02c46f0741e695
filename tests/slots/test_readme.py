"""The examples of the package page are run."""

import doctest
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "slots" / "README.md"


def test_the_examples_of_the_page_are_true() -> None:
    failed, tried = doctest.testfile(str(README), module_relative=False)
    assert tried > 10
    assert failed == 0
