"""Declaring commands."""

import pytest

from clustrio.node.argument_syntax import ArgumentSyntaxError
from clustrio.node.registry import command


def test_a_syntax_that_cannot_be_read_is_refused_when_it_is_declared() -> None:
    with pytest.raises(ArgumentSyntaxError):
        command("BROKEN", group="generic", since="1.0.0", arity=1, args="key [value")
