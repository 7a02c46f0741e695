"""Compiled chunks in which calls of what the sandbox offers are no tail calls.

In C a function that is called by `return f()` still sees who called it; a function in Lua does
not, for its caller's frame is gone. Much of what scripts call is written in C elsewhere and in Lua
here, and its complaints name the script's line. So such calls become plain ones, before the chunk
runs: those of a script's outermost level, which cannot call itself, and those of global names,
which no script can define. A script's own functions keep their tail calls, however deep they go.

What is read here was compiled a moment ago by the same Lua, and holds no foreign byte code.
"""

from typing import Final

_HEADER_BYTES: Final = 12
_INT: Final = 4
_SIZE: Final = 8
_NUMBER: Final = 8
#: What precedes a function's code besides its source: two lines, and four counts of a byte each.
_PROLOGUE_BYTES: Final = 2 * _INT + 4
_MOVE, _LOAD_CONSTANT, _GET_UPVALUE, _GET_GLOBAL, _GET_TABLE = 0, 1, 4, 5, 6
_SELF, _CALL, _TAIL_CALL, _SET_LIST, _CLOSURE = 11, 28, 29, 34, 36
#: Instructions that give a register a value that may be called.
_SETTERS: Final = frozenset(
    {_MOVE, _LOAD_CONSTANT, _GET_UPVALUE, _GET_GLOBAL, _GET_TABLE, _SELF, _CALL, _CLOSURE}
)


def without_tail_calls(dumped: bytes) -> bytes:
    """The same chunk with plain calls where that can be told apart by complaints alone."""
    chunk = _Chunk(dumped)
    chunk.read_function(_HEADER_BYTES, is_outermost=True)
    return bytes(chunk.data)


class _Chunk:
    """A dumped chunk that is gone through from its start."""

    def __init__(self, dumped: bytes) -> None:
        self.data = bytearray(dumped)

    def read_function(self, at: int, *, is_outermost: bool) -> int:
        """Change the calls of a function and of those within; returns the end of its text."""
        at = self._skip_string(at) + _PROLOGUE_BYTES
        count = self._read(at, _INT)
        at += _INT
        self._change_calls(at, count, is_outermost=is_outermost)
        at += count * _INT
        at = self._skip_constants(at)
        count = self._read(at, _INT)
        at += _INT
        for _ in range(count):
            at = self.read_function(at, is_outermost=False)
        at += _INT + self._read(at, _INT) * _INT
        count = self._read(at, _INT)
        at += _INT
        for _ in range(count):
            at = self._skip_string(at) + 2 * _INT
        count = self._read(at, _INT)
        at += _INT
        for _ in range(count):
            at = self._skip_string(at)
        return at

    def _read(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "little")

    def _skip_string(self, at: int) -> int:
        return at + _SIZE + self._read(at, _SIZE)

    def _skip_constants(self, at: int) -> int:
        count = self._read(at, _INT)
        at += _INT
        for _ in range(count):
            kind = self.data[at]
            at += 1
            if kind == 1:
                at += 1
            elif kind == 3:
                at += _NUMBER
            elif kind == 4:
                at = self._skip_string(at)
        return at

    def _change_calls(self, start: int, count: int, *, is_outermost: bool) -> None:
        is_number = False
        for at in range(start, start + count * _INT, _INT):
            operation = self.data[at] & 0x3F
            if is_number:
                is_number = False
            elif operation == _SET_LIST:
                # Of a very long list the next word tells the place; it is no instruction.
                is_number = self._read(at, _INT) >> 14 & 0x1FF == 0
            elif operation == _TAIL_CALL and (is_outermost or self._calls_global(start, at)):
                self.data[at] = self.data[at] & 0xC0 | _CALL

    def _calls_global(self, start: int, call_at: int) -> bool:
        """Whether what is called came from a global name, by fields and calls."""
        register = self._read(call_at, _INT) >> 6 & 0xFF
        for at in range(call_at - _INT, start - 1, -_INT):
            instruction = self._read(at, _INT)
            operation = instruction & 0x3F
            if operation not in _SETTERS or instruction >> 6 & 0xFF != register:
                continue
            if operation == _CALL or (operation == _GET_TABLE and instruction >> 23 == register):
                continue
            return operation == _GET_GLOBAL
        return False
