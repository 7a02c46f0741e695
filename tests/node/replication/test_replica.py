"""What a replica says to its primary, and what it makes of the answers."""

import pytest

from clustrio.node.replication.replica import (
    Continue,
    FullCopy,
    Handshake,
    Introduction,
    LinkError,
    Step,
    Transfer,
    read_transfer,
)

from ...support.raw import encode_command

ID = b"d" * 40


def words(*texts: str) -> bytes:
    return encode_command([text.encode() for text in texts])


def new(password: str | None = None, **facts: object) -> Handshake:
    me = Introduction("me" if password else None, password, 7001, None)
    return Handshake(me, **facts)  # type: ignore[arg-type]


def test_the_whole_conversation() -> None:
    handshake = new("secret", resume=(ID, 42))
    assert handshake.begin() == words("PING")
    assert handshake.on_line(b"") == b""
    said = handshake.on_line(b"-NOAUTH Authentication required.")
    assert said == (
        words("AUTH", "me", "secret")
        + words("REPLCONF", "listening-port", "7001")
        + words("REPLCONF", "capa", "eof", "capa", "psync2", "capa", "slot-marks")
    )
    assert handshake.on_line(b"+OK") == b""
    assert handshake.on_line(b"-ERR no such thing") == b""
    assert handshake.on_line(b"+OK") == words("PSYNC", ID.decode(), "42")
    assert handshake.step is Step.PSYNC
    assert handshake.on_line(b"+CONTINUE " + ID) == Continue(ID)
    assert len(handshake.complaints) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"+CONTINUE", Continue(None)),
        (b"+FULLRESYNC " + ID + b" 7", FullCopy(ID, 7)),
        (b"+FULLRESYNC " + ID + b" x", LinkError),
        (b"+FULLRESYNC short 7", LinkError),
        (b"-NOMASTERLINK no", LinkError),
        (b"-LOADING wait", LinkError),
        (b"$5", LinkError),
    ],
)
def test_the_answer_to_psync(line: bytes, expected: object) -> None:
    handshake = new(resume=None, is_failover=True)
    handshake.begin()
    handshake.on_line(b"+PONG")
    handshake.on_line(b"+OK")
    assert handshake.on_line(b"+OK") == words("PSYNC", "?", "-1", "FAILOVER")
    if expected is LinkError:
        with pytest.raises(LinkError):
            handshake.on_line(line)
    else:
        assert handshake.on_line(line) == expected


@pytest.mark.parametrize("line", [b"-MASTERDOWN", b"-LOADING", b"$5"])
def test_a_primary_that_does_not_answer_a_ping(line: bytes) -> None:
    handshake = new(resume=None)
    handshake.begin()
    with pytest.raises(LinkError):
        handshake.on_line(line)


def test_a_wrong_password_ends_it() -> None:
    handshake = new("wrong", resume=None)
    handshake.begin()
    handshake.on_line(b"-NOAUTH x")
    with pytest.raises(LinkError, match="Unable to AUTH"):
        handshake.on_line(b"-WRONGPASS x")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", None),
        (b"$1234", Transfer(1234, b"")),
        (b"$EOF:" + ID, Transfer(None, ID)),
        (b"$EOF:short", LinkError),
        (b"$-1", LinkError),
        (b"-ERR no", LinkError),
        (b"+OK", LinkError),
    ],
)
def test_the_line_ahead_of_a_copy(line: bytes, expected: object) -> None:
    if expected is LinkError:
        with pytest.raises(LinkError):
            read_transfer(line)
    else:
        assert read_transfer(line) == expected
