"""The connection itself: log in, choose a protocol and a database, say hello and goodbye."""

from collections.abc import Sequence

from ..batches import Replies
from ..errors import (
    DB_OUT_OF_RANGE,
    NOT_AN_INT,
    SYNTAX,
    CommandError,
    as_c_string,
    wrong_arity,
)
from ..registry import command
from ..resp.alike import Requests
from ..resp.encoder import EMPTY_ARRAY, OK, PONG, bulk, integer, simple
from ..session import Session
from ..values.numbers import parse_integer
from ..version import REDIS_VERSION
from .arguments import required_integer
from .client import set_client_name
from .transactions import discard_transaction

_WRONG_PASSWORD = CommandError(
    b"WRONGPASS invalid username-password pair or user is disabled.",
)
_LOGIN = "noscript loading stale fast no_auth allow_busy"


def _pongs(requests: Sequence[list[bytes]]) -> bytes:
    return PONG * len(requests)


def _ping_many(session: Session, requests: Requests) -> Replies[list[bytes]] | None:
    """A pipeline of bare PINGs in one go."""
    is_bare = len(requests[0]) == 1 and requests.count(requests[0]) == len(requests)
    return Replies(_pongs, requests) if is_bare else None


@command(
    "PING",
    group="connection",
    since="1.0.0",
    arity=-1,
    flags="fast",
    args="[message]",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    batch=_ping_many,
)
def ping(session: Session, args: list[bytes]) -> bytes:
    """Answers, which shows that the server is alive."""
    if len(args) > 2:
        raise wrong_arity("ping")
    if "subscribed" in session.flags and not session.resp3:
        return b"*2\r\n$4\r\npong\r\n" + bulk(args[1] if len(args) == 2 else b"")
    return PONG if len(args) == 1 else bulk(args[1])


@command(
    "ECHO", group="connection", since="1.0.0", arity=2, flags="loading stale fast", args="message"
)
def echo(session: Session, args: list[bytes]) -> bytes:
    """Gives the message back."""
    return bulk(args[1])


@command("QUIT", group="connection", since="1.0.0", arity=-1, flags=_LOGIN)
def quit_(session: Session, args: list[bytes]) -> bytes:
    """Closes the connection once the reply is out."""
    return session.machine.finish(session, OK)


@command(
    "SELECT", group="connection", since="1.0.0", arity=2, flags="loading stale fast", args="index"
)
def select(session: Session, args: list[bytes]) -> bytes:
    """Uses another database from now on."""
    index = required_integer(args[1])
    if not -(1 << 31) <= index < 1 << 31:
        raise NOT_AN_INT
    keyspace = session.machine.keyspace
    if keyspace.clustered and index:
        raise CommandError(b"ERR SELECT is not allowed in cluster mode")
    if not 0 <= index < keyspace.database_count:
        raise DB_OUT_OF_RANGE
    session.select(index)
    return OK


def log_in(session: Session, user: bytes, password: bytes, word: bytes) -> None:
    """Make the client that user, or raise; a failed attempt changes nothing."""
    if not session.machine.accounts.log_in(session, user, password, word):
        raise _WRONG_PASSWORD
    session.stream.logged_in()
    session.machine.regate(session)


@command(
    "AUTH",
    group="connection",
    since="1.0.0",
    arity=-2,
    flags=_LOGIN,
    args="[username] password",
    complexity="O(N) in the number of the user's passwords",
)
def auth(session: Session, args: list[bytes]) -> bytes:
    """Logs the client in."""
    if len(args) > 3:
        raise SYNTAX
    if len(args) == 2 and session.machine.accounts.default.needs_no_password:
        raise CommandError(
            b"ERR AUTH <password> called without any password configured for the default user. "
            b"Are you sure your configuration is correct?",
        )
    log_in(session, args[1] if len(args) == 3 else b"default", args[-1], args[0])
    return OK


@command(
    "HELLO",
    group="connection",
    since="6.0.0",
    arity=-1,
    flags=_LOGIN,
    args="[protover:integer [AUTH (username password)] [SETNAME clientname]]",
)
def hello(session: Session, args: list[bytes]) -> bytes:
    """Chooses RESP2 or RESP3, may log in and name the client, and introduces the server."""
    version = session.encoder.protocol
    if len(args) > 1:
        wanted = parse_integer(args[1])
        if wanted is None:
            raise CommandError(b"ERR Protocol version is not an integer or out of range")
        if wanted not in (2, 3):
            raise CommandError(b"NOPROTO unsupported protocol version")
        version = wanted
    credentials, name = _hello_options(args)
    if credentials is not None:
        log_in(session, *credentials, args[0])
    if not session.authenticated:
        raise CommandError(
            b"NOAUTH HELLO must be called with the client already authenticated, otherwise the "
            b"HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
            b"select the RESP protocol version at the same time",
        )
    if name is not None:
        set_client_name(session, name)
    session.use_protocol(version)
    machine = session.machine
    pairs = (
        (b"server", bulk(b"redis")),
        (b"version", bulk(REDIS_VERSION.encode())),
        (b"proto", integer(version)),
        (b"id", integer(session.id)),
        (b"mode", bulk(b"cluster" if machine.keyspace.clustered else b"standalone")),
        (b"role", bulk(b"replica" if machine.keyspace.is_replica else b"master")),
        (b"modules", EMPTY_ARRAY),
    )
    return session.encoder.map_header(len(pairs)) + b"".join(bulk(k) + v for k, v in pairs)


def _hello_options(args: list[bytes]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """The credentials and the client name in a HELLO."""
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    position = 2
    while position < len(args):
        option = args[position].upper()
        left = len(args) - position - 1
        if option == b"AUTH" and left >= 2:
            credentials = (args[position + 1], args[position + 2])
            position += 3
        elif option == b"SETNAME" and left >= 1:
            name = args[position + 1]
            position += 2
        else:
            raise CommandError(
                b"ERR Syntax error in HELLO option '%b'" % as_c_string(args[position])
            )
    return credentials, name


@command("RESET", group="connection", since="6.2.0", arity=1, flags=_LOGIN)
def reset(session: Session, args: list[bytes]) -> bytes:
    """Brings the connection back to the state of a new one."""
    machine = session.machine
    discard_transaction(session)
    for feature in list(session.features.values()):
        feature.on_disconnect(session)
    session.features.clear()
    session.flags.clear()
    session.select(0)
    session.use_protocol(2)
    session.name = b""
    session.account = machine.accounts.default
    session.authenticated = machine.accounts.is_open
    session.reply_mode = session.reply_mode.ON
    session.readonly = session.asking = False
    session.no_evict = session.no_touch = False
    machine.regate(session)
    return simple(b"RESET")
