"""The slow parser: every rule and every error text of the request protocol.

It reads inline commands, unusual framing, clients that have not logged in, and whatever the fast
path found odd. It takes bytes with `feed` and gives commands with `gets`; like the fast parser it
answers `False` when it needs more bytes, so that the dispatch loop cannot tell the two apart.
"""

from typing import Final, Literal

from ..errors import ProtocolError

INLINE_MAX_BYTES: Final = 64 * 1024
ARGUMENTS_MAX: Final = 1024 * 1024
#: Strangers get little memory: a client that has not logged in may send few and short arguments.
STRANGER_ARGUMENTS_MAX: Final = 10
STRANGER_BULK_MAX_BYTES: Final = 16384

_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_WHITE: Final = b" \n\r\t\v\f\0"
#: Redis skips more kinds of white space between words than it ends a word at.
_WORD_END: Final = b" \n\r\t\0"
_STAR: Final = ord("*")
#: The headers of short bulk strings, and what they say: quicker than reading the number.
_SHORT_HEADERS: Final = {b"$%d\r\n" % length: length for length in range(1024)}
_SHORT_HEADER_MAX_BYTES: Final = 7
_HEX: Final = b"0123456789abcdefABCDEF"


def strict_length(text: bytes) -> int | None:
    """A decimal number as Redis accepts it in a header: no plus, no space, no leading zero."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or len(digits) > 19:
        return None
    if digits[:1] == b"0" and text != b"0":
        return None
    return int(text)


def split_inline(line: bytes) -> list[bytes] | None:
    """The words of an inline command, or None when its quotes do not balance."""
    words: list[bytes] = []
    position, end = 0, len(line)
    while True:
        while position < end and line[position] in _WHITE:
            position += 1
        if position >= end:
            return words
        found = _next_word(line, position)
        if found is None:
            return None
        word, position = found
        words.append(word)


def _next_word(line: bytes, position: int) -> tuple[bytes, int] | None:
    """One word from `position` and where it ends; quotes may open anywhere inside it."""
    word = bytearray()
    end = len(line)
    while position < end:
        byte = line[position]
        if byte in _WORD_END:
            return bytes(word), position
        if byte not in b"\"'":
            word.append(byte)
            position += 1
            continue
        quoted = _quoted(line, position)
        if quoted is None:
            return None
        text, position = quoted
        word += text
        # A closing quote must be followed by white space or by the end of the line.
        if position < end and line[position] not in _WHITE:
            return None
        return bytes(word), position
    return bytes(word), position


def _quoted(line: bytes, position: int) -> tuple[bytes, int] | None:
    """The text between the quote at `position` and its partner, and the position after it."""
    quote = line[position : position + 1]
    text = bytearray()
    position += 1
    while position < len(line):
        byte = line[position : position + 1]
        if byte == quote:
            return bytes(text), position + 1
        if byte == b"\\" and position + 1 < len(line):
            follower = line[position + 1 : position + 2]
            if quote == b"'":
                if follower == b"'":
                    text += b"'"
                    position += 2
                    continue
            else:
                digits = line[position + 2 : position + 4]
                if follower == b"x" and len(digits) == 2 and all(d in _HEX for d in digits):
                    text.append(int(digits, 16))
                    position += 4
                else:
                    text += _ESCAPES.get(follower, follower)
                    position += 2
                continue
        text += byte
        position += 1
    return None


class ExactParser:
    """Requests from bytes, one client's worth of state."""

    __slots__ = ("_args", "_buffer", "_bulk_length", "_position", "_remaining", "stranger")

    def __init__(self, stranger: bool) -> None:
        #: Not logged in yet: tight limits.
        self.stranger = stranger
        self._buffer = bytearray()
        self._position = 0
        self._args: list[bytes] = []
        self._remaining = 0
        self._bulk_length = -1

    @property
    def at_boundary(self) -> bool:
        """Nothing is half read: the next byte starts a new request."""
        return not self._remaining and self._position >= len(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """How much memory the unfinished request holds."""
        return len(self._buffer) - self._position + sum(map(len, self._args))

    @property
    def next_is_array(self) -> bool:
        """Nothing is half read, and what comes next looks like an ordinary request."""
        return (
            not self._remaining
            and self._position < len(self._buffer)
            and self._buffer[self._position] == _STAR
        )

    def take_rest(self) -> bytes:
        """What nobody has read yet; the parser gives it away."""
        rest = bytes(memoryview(self._buffer)[self._position :])
        self._buffer = bytearray()
        self._position = 0
        return rest

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the socket."""
        if self._position:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    def gets(self, bulk_max_bytes: int) -> list[bytes] | Literal[False]:
        """The next request; an empty list for an empty one; False when bytes are missing."""
        if not self._remaining:
            if self._position >= len(self._buffer):
                return False
            if self._buffer[self._position] != _STAR:
                return self._inline()
            if not self._array_header():
                return False
            if not self._remaining:
                return []
        return self._arguments(bulk_max_bytes)

    def _line(self, what: bytes) -> bytes | None:
        """The header line at the position, without its CR; None when its end is missing."""
        end = self._buffer.find(b"\r", self._position)
        if end >= 0 and self._buffer.find(b"\0", self._position, end) >= 0:
            # As with inline requests, Redis sees nothing behind a NUL.
            end = -1
        if end < 0 or end + 1 >= len(self._buffer):
            if end < 0 and len(self._buffer) - self._position > INLINE_MAX_BYTES:
                raise ProtocolError(b"Protocol error: too big %b count string" % what)
            return None
        line = bytes(self._buffer[self._position : end])
        self._position = end + 2
        return line

    def _inline(self) -> list[bytes] | Literal[False]:
        while True:
            end = self._buffer.find(b"\n", self._position)
            # Redis looks for the end of the line in a C string: behind a NUL it sees nothing.
            if end < 0 or self._buffer.find(b"\0", self._position, end) >= 0:
                if len(self._buffer) - self._position > INLINE_MAX_BYTES:
                    raise ProtocolError(b"Protocol error: too big inline request")
                return False
            line = bytes(self._buffer[self._position : end])
            self._position = end + 1
            words = split_inline(line.removesuffix(b"\r"))
            if words is None:
                raise ProtocolError(b"Protocol error: unbalanced quotes in request")
            if words:
                return words
            if self._position >= len(self._buffer):
                return False
            if self._buffer[self._position] == _STAR:
                return []

    def _array_header(self) -> bool:
        line = self._line(b"mbulk")
        if line is None:
            return False
        count = strict_length(line[1:])
        if count is None or count > ARGUMENTS_MAX:
            raise ProtocolError(b"Protocol error: invalid multibulk length")
        if self.stranger and count > STRANGER_ARGUMENTS_MAX:
            raise ProtocolError(b"Protocol error: unauthenticated multibulk length")
        self._remaining = max(count, 0)
        self._args = []
        return True

    def _arguments(self, bulk_max_bytes: int) -> list[bytes] | Literal[False]:
        while self._remaining:
            if self._bulk_length < 0 and not self._bulk_header(bulk_max_bytes):
                return False
            end = self._position + self._bulk_length
            if len(self._buffer) < end + 2:
                return False
            self._args.append(bytes(self._buffer[self._position : end]))
            self._position = end + 2
            self._bulk_length = -1
            self._remaining -= 1
        args, self._args = self._args, []
        return args

    def _bulk_header(self, bulk_max_bytes: int) -> bool:
        start = self._position
        end = self._buffer.find(b"\n", start, start + _SHORT_HEADER_MAX_BYTES) + 1
        if end:
            short = _SHORT_HEADERS.get(bytes(self._buffer[start:end]))
            if short is not None and short <= bulk_max_bytes:
                self._position = end
                self._bulk_length = short
                return True
        line = self._line(b"bulk")
        if line is None:
            return False
        if line[:1] != b"$":
            shown = line[:1] or bytes(self._buffer[start : start + 1])
            raise ProtocolError(b"Protocol error: expected '$', got '%b'" % shown)
        length = strict_length(line[1:])
        if length is None or not 0 <= length <= bulk_max_bytes:
            raise ProtocolError(b"Protocol error: invalid bulk length")
        if self.stranger and length > STRANGER_BULK_MAX_BYTES:
            raise ProtocolError(b"Protocol error: unauthenticated bulk length")
        self._bulk_length = length
        return True
