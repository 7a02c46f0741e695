"""Lines of the configuration that are no directives, and what a node refuses to start with."""

import pytest

from clustrio.node.config.syntax import ConfigFileError

from .harness import MemoryNode


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("rename_command", "nope x", "'rename-command nope x': No such command in rename-command"),
        (
            "rename_command",
            "get set",
            "'rename-command get set': Target command name already exists",
        ),
    ],
)
def test_what_cannot_be_obeyed_is_refused_at_start(name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigFileError) as refusal:
        MemoryNode(**{name: value})
    assert refusal.value.reason.startswith(reason)


def test_a_command_may_be_renamed_to_its_own_name() -> None:
    assert MemoryNode(rename_command="GET get").call("GET", "a") is None


def test_a_name_may_be_without_letters_and_change_again() -> None:
    node = MemoryNode(rename_command="get 1\nrename-command 1 2")
    assert node.call("2", "a") is None
    assert node.call("1", "a").startswith("ERR unknown command '1'")
