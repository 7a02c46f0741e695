"""README's table of commands is the one that the declarations give."""

import pytest

from clustrio.tools.gen import command_table


def test_readme_is_up_to_date() -> None:
    assert command_table.main(["--check"]) == 0


def test_an_old_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_table, "table", lambda: "| something else |")
    assert command_table.main(["--check"]) == 1


def test_a_readme_without_the_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the markers"):
        command_table.updated("# Nothing of the kind\n")
