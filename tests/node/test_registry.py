"""Declaring commands."""

import pytest

from clustrio.node.argument_syntax import ArgumentSyntaxError, parse_arguments
from clustrio.node.registry import build_commands, walk


def test_a_syntax_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ArgumentSyntaxError):
        parse_arguments("key [value")


def test_every_declared_syntax_can_be_read() -> None:
    """Syntax is read when COMMAND DOCS is asked for, so that a start does not wait for it."""
    specs = {name.decode(): command.spec for name, command in build_commands().items()}
    declared = list(walk(specs))
    assert len(declared) > len(specs) > 200
    for spec in declared:
        parse_arguments(spec.args)
