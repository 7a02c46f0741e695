"""Errors are one object each, raised for ever: they must not remember where they have been."""

from clustrio.node.errors import WRONG_TYPE

from .harness import MemoryNode


def test_an_error_that_is_raised_often_does_not_grow() -> None:
    node = MemoryNode()
    node.call("SET", "k", "v")
    for _ in range(50):
        node.call("LPUSH", "k", "v")
        node.call("MULTI")
        node.call("LPUSH", "k", "v")
        node.call("EXEC")
    assert WRONG_TYPE.__traceback__ is None
    assert WRONG_TYPE.__context__ is None
