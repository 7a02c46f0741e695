"""CLIENT: see, name, tune, pause and end connections."""

from collections.abc import Callable, Iterator

from ..client_eviction import client_bytes, queued_bytes
from ..errors import (
    SYNTAX,
    TIMEOUT_NEGATIVE,
    TIMEOUT_NOT_AN_INTEGER,
    CommandError,
    unknown_form,
)
from ..pause import PauseMode
from ..registry import command, container
from ..resp.encoder import OK, bulk, integer
from ..session import ClientKind, ReplyMode, Session
from ..tracking import FEATURE as TRACKING
from ..values.numbers import parse_integer
from .arguments import required_integer
from .help import help_reply

_ANY_TIME = "noscript loading stale"
_ADMIN = "admin noscript loading stale"
_KINDS = {kind.value.encode(): kind for kind in ClientKind} | {b"slave": ClientKind.REPLICA}

container("CLIENT", group="connection", since="2.4.0", summary="Looks after connections.")


def _is_printable(name: bytes) -> bool:
    """No blanks, line breaks or other odd bytes: names stand in one line of CLIENT LIST."""
    return all(33 <= byte <= 126 for byte in name)


def set_client_name(session: Session, name: bytes) -> None:
    """Give a connection a name; an empty one takes it away."""
    if not _is_printable(name):
        raise CommandError(
            b"ERR Client names cannot contain spaces, newlines or special characters.",
        )
    session.name = name


@command(
    "CLIENT SETNAME",
    group="connection",
    since="2.6.9",
    arity=3,
    flags=_ANY_TIME,
    args="connection-name",
)
def set_name(session: Session, args: list[bytes]) -> bytes:
    """Names this connection."""
    set_client_name(session, args[2])
    return OK


@command("CLIENT GETNAME", group="connection", since="2.6.9", arity=2, flags=_ANY_TIME)
def get_name(session: Session, args: list[bytes]) -> bytes:
    """Tells the name of this connection."""
    return bulk(session.name) if session.name else session.encoder.null


@command(
    "CLIENT SETINFO",
    group="connection",
    since="7.2.0",
    arity=4,
    flags=_ANY_TIME,
    args="LIB-NAME libname|LIB-VER libver",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def set_info(session: Session, args: list[bytes]) -> bytes:
    """Notes which client library is at the other end."""
    option = args[2].upper()
    if option not in (b"LIB-NAME", b"LIB-VER"):
        raise CommandError(b"ERR Unrecognized option '%b'" % args[2])
    if not _is_printable(args[3]):
        raise CommandError(
            b"ERR %b cannot contain spaces, newlines or special characters." % args[2].lower(),
        )
    if option == b"LIB-NAME":
        session.library_name = args[3]
    else:
        session.library_version = args[3]
    return OK


@command("CLIENT ID", group="connection", since="5.0.0", arity=2, flags=_ANY_TIME)
def id_(session: Session, args: list[bytes]) -> bytes:
    """Tells the number of this connection."""
    return integer(session.id)


# --- CLIENT LIST and INFO
# --------------------------------------------------------------------------


def _flag_letters(session: Session) -> str:
    letters = {
        ClientKind.NORMAL: "",
        ClientKind.REPLICA: "S",
        ClientKind.MASTER: "M",
        ClientKind.PUBSUB: "P",
    }[session.kind]
    if "subscribed" in session.flags and "P" not in letters:
        letters += "P"
    if "monitor" in session.flags:
        letters = "O" + letters
    if session.queue is not None:
        letters += "x"
    if session.wait is not None:
        letters += "b"
    for flag, letter in (
        ("tracking", "t"),
        ("tracking-broken", "R"),
        ("tracking-broadcast", "B"),
    ):
        if flag in session.flags:
            letters += letter
    if session.close_after_reply:
        letters += "c"
    if session.close_now:
        letters += "A"
    if session.readonly:
        letters += "r"
    if session.no_evict:
        letters += "e"
    if session.no_touch:
        letters += "T"
    return letters or "N"


def _count(session: Session, feature: str, attribute: str) -> int:
    """How many of something a feature of the session holds."""
    own = session.features.get(feature)
    return len(getattr(own, attribute)) if own is not None else 0


def describe(session: Session) -> bytes:
    """One line of CLIENT LIST, without its line break."""
    now_ms = session.machine.clock.now_ms
    pending = session.stream.pending_bytes
    last = session.last_command
    tracker = session.features.get(TRACKING)
    fields = {
        "id": session.id,
        "addr": session.address,
        "laddr": session.local_address,
        "fd": session.descriptor,
        "name": session.name.decode("latin-1"),
        "age": (now_ms - session.created_ms) // 1000,
        "idle": (now_ms - session.last_request_ms) // 1000,
        "flags": _flag_letters(session),
        "db": session.db.index,
        "sub": _count(session, "pubsub", "channels"),
        "psub": _count(session, "pubsub", "patterns"),
        "ssub": _count(session, "pubsub", "shard_channels"),
        "multi": len(session.queue) if session.queue is not None else -1,
        "watch": _count(session, "watch", "places"),
        "qbuf": pending,
        "qbuf-free": 0,
        "argv-mem": 0,
        "multi-mem": queued_bytes(session),
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": 1 if session.output_bytes else 0,
        "omem": session.output_bytes,
        "tot-mem": client_bytes(session),
        "events": "rw" if session.output_bytes else "r",
        "cmd": last.full_name if last is not None else "NULL",
        "user": session.user.decode("latin-1"),
        "redir": tracker.redirect_id if tracker is not None else -1,
        "resp": session.encoder.protocol,
        "lib-name": session.library_name.decode("latin-1"),
        "lib-ver": session.library_version.decode("latin-1"),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode("latin-1")


@command(
    "CLIENT LIST",
    group="connection",
    since="2.4.0",
    arity=-2,
    flags=_ADMIN,
    args="[TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID client-id:integer...]",
    complexity="O(N) in the number of connections",
    tips=("nondeterministic_output",),
)
def list_(session: Session, args: list[bytes]) -> bytes:
    """Describes all connections, one a line."""
    machine = session.machine
    sessions: Iterator[Session] = iter(machine.sessions.values())
    if len(args) == 4 and args[2].upper() == b"TYPE":
        kind = _kind(args[3])
        sessions = (other for other in sessions if _kind_of(other) is kind)
    elif len(args) >= 4 and args[2].upper() == b"ID":
        wanted = [_client_id(text) for text in args[3:]]
        sessions = (machine.sessions[number] for number in wanted if number in machine.sessions)
    elif len(args) != 2:
        raise SYNTAX
    lines = b"".join(describe(other) + b"\n" for other in sessions)
    return session.encoder.verbatim(lines)


@command(
    "CLIENT INFO",
    group="connection",
    since="6.2.0",
    arity=2,
    flags=_ANY_TIME,
    tips=("nondeterministic_output",),
)
def info(session: Session, args: list[bytes]) -> bytes:
    """Describes this connection."""
    return session.encoder.verbatim(describe(session) + b"\n")


def _kind(name: bytes) -> ClientKind:
    kind = _KINDS.get(name.lower())
    if kind is None:
        raise CommandError(b"ERR Unknown client type '%b'" % name)
    return kind


def _kind_of(session: Session) -> ClientKind:
    """Subscribers count as such only for filters."""
    if session.kind is ClientKind.NORMAL and "subscribed" in session.flags:
        return ClientKind.PUBSUB
    return session.kind


def _client_id(text: bytes) -> int:
    number = parse_integer(text)
    if number is None:
        raise CommandError(b"ERR Invalid client ID")
    return number


# --- CLIENT KILL
# -----------------------------------------------------------------------------------


def _kill_filter(session: Session, name: bytes, value: bytes) -> Callable[[Session], bool]:
    """One filter of CLIENT KILL as a question about a connection."""
    match name.upper():
        case b"ID":
            number = parse_integer(value)
            if number is None or number < 1:
                raise CommandError(b"ERR client-id should be greater than 0")
            return lambda other: other.id == number
        case b"TYPE":
            kind = _kind(value)
            return lambda other: _kind_of(other) is kind
        case b"ADDR":
            return lambda other: other.address.encode() == value
        case b"LADDR":
            return lambda other: other.local_address.encode() == value
        case b"USER":
            if not session.machine.accounts.exists(value):
                raise CommandError(b"ERR No such user '%b'" % value)
            return lambda other: other.user == value
        case b"MAXAGE":
            seconds = parse_integer(value)
            if seconds is None or seconds < 1:
                raise CommandError(b"ERR maxage is not an integer or out of range")
            now_ms = session.machine.clock.now_ms
            return lambda other: now_ms - other.created_ms >= seconds * 1000
    raise SYNTAX


@command(
    "CLIENT KILL",
    group="connection",
    since="2.4.0",
    arity=-3,
    flags=_ADMIN,
    args=(
        "old-format:string|([ID client-id:integer] [TYPE (NORMAL|MASTER|SLAVE|REPLICA|PUBSUB)] "
        "[USER username] [ADDR address] [LADDR local-address] [SKIPME YES|NO] "
        "[MAXAGE maxage:integer])"
    ),
    complexity="O(N) in the number of connections",
)
def kill(session: Session, args: list[bytes]) -> bytes:
    """Ends connections."""
    machine = session.machine
    if len(args) == 3:
        for other in list(machine.sessions.values()):
            if other.address.encode() == args[2]:
                other.close(after_reply=other is session)
                return OK
        raise CommandError(b"ERR No such client")
    if len(args) % 2:
        raise SYNTAX
    spare_me = True
    # Of two filters of one kind the last one counts.
    filters: dict[bytes, Callable[[Session], bool]] = {}
    for name, value in zip(args[2::2], args[3::2], strict=True):
        if name.upper() == b"SKIPME":
            if value.lower() not in (b"yes", b"no"):
                raise SYNTAX
            spare_me = value.lower() == b"yes"
        else:
            filters[name.upper()] = _kill_filter(session, name, value)
    killed = 0
    for other in list(machine.sessions.values()):
        if (other is session and spare_me) or not all(wanted(other) for wanted in filters.values()):
            continue
        other.close(after_reply=other is session)
        killed += 1
    return integer(killed)


# --- waiting and silence
# ---------------------------------------------------------------------------


@command(
    "CLIENT PAUSE",
    group="connection",
    since="2.9.50",
    arity=-3,
    flags=_ADMIN,
    args="timeout:integer [WRITE|ALL]",
)
def pause(session: Session, args: list[bytes]) -> bytes:
    """Lets requests wait for a time."""
    mode = PauseMode.ALL
    if len(args) == 4:
        chosen = {b"WRITE": PauseMode.WRITE, b"ALL": PauseMode.ALL}.get(args[3].upper())
        if chosen is None:
            raise CommandError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
        mode = chosen
    elif len(args) > 4:
        raise SYNTAX
    milliseconds = parse_integer(args[2])
    if milliseconds is None:
        raise TIMEOUT_NOT_AN_INTEGER
    if milliseconds < 0:
        raise TIMEOUT_NEGATIVE
    session.machine.pause.begin("client", mode, session.machine.clock.now_ms + milliseconds)
    return OK


@command(
    "CLIENT UNPAUSE",
    group="connection",
    since="6.2.0",
    arity=2,
    flags=_ADMIN,
    complexity="O(N) in the number of waiting connections",
)
def unpause(session: Session, args: list[bytes]) -> bytes:
    """Lets waiting requests run."""
    session.machine.pause.end("client")
    return OK


@command(
    "CLIENT UNBLOCK",
    group="connection",
    since="5.0.0",
    arity=-3,
    flags=_ADMIN,
    args="client-id:integer [TIMEOUT|ERROR]",
    complexity="O(log N) in the number of connections",
)
def unblock(session: Session, args: list[bytes]) -> bytes:
    """Ends the waiting of a client's blocking command."""
    as_error = False
    if len(args) == 4:
        if args[3].upper() not in (b"TIMEOUT", b"ERROR"):
            raise CommandError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
        as_error = args[3].upper() == b"ERROR"
    elif len(args) > 4:
        raise unknown_form("CLIENT", args[1])
    number = required_integer(args[2])
    other = session.machine.sessions.get(number)
    if other is None or other.wait is None or other.wait.reason == "paused":
        return integer(0)
    if as_error:
        reply = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    else:
        reply = other.wait.on_timeout()
    session.machine.unpark(other, reply)
    return integer(1)


@command(
    "CLIENT REPLY", group="connection", since="3.2.0", arity=3, flags=_ANY_TIME, args="ON|OFF|SKIP"
)
def reply(session: Session, args: list[bytes]) -> bytes:
    """Chooses whether this client hears replies: all, none, or none to the next request."""
    mode = args[2].upper()
    if mode == b"ON":
        session.reply_mode = ReplyMode.ON
    elif mode == b"OFF":
        session.reply_mode = ReplyMode.OFF
    elif mode == b"SKIP":
        if session.reply_mode is not ReplyMode.OFF:
            session.reply_mode = ReplyMode.SKIP
            if session.gated:
                # The gate is about to hear the (missing) reply to this very request.
                session.flags.add("skip-armed")
    else:
        raise SYNTAX
    session.machine.regate(session)
    return OK if session.reply_mode is ReplyMode.ON else b""


def _on_or_off(text: bytes) -> bool:
    if text.lower() not in (b"on", b"off"):
        raise SYNTAX
    return text.lower() == b"on"


@command("CLIENT NO-EVICT", group="connection", since="7.0.0", arity=3, flags=_ADMIN, args="ON|OFF")
def no_evict(session: Session, args: list[bytes]) -> bytes:
    """Spares this connection when `maxmemory-clients` asks for victims."""
    session.no_evict = _on_or_off(args[2])
    return OK


@command(
    "CLIENT NO-TOUCH", group="connection", since="7.2.0", arity=3, flags=_ANY_TIME, args="ON|OFF"
)
def no_touch(session: Session, args: list[bytes]) -> bytes:
    """Keeps this client's reads from counting as uses of the keys."""
    session.no_touch = _on_or_off(args[2])
    # Only the gate looks at it, so such a client must pass the gate.
    if session.no_touch:
        session.flags.add("no-touch")
    else:
        session.flags.discard("no-touch")
    session.machine.regate(session)
    return OK


@command("CLIENT HELP", group="connection", since="5.0.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Explains the sub-commands."""
    return help_reply("CLIENT")
