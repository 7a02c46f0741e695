"""ACL: the users and what they may do."""

from typing import Final

from ..acl.catalog import catalog
from ..acl.denials import Denial, Reason
from ..acl.log import LogEntry
from ..acl.selectors import Selector
from ..acl.userfile import UserFileError, user_line
from ..acl.users import DEFAULT_NAME, User, UserFlag
from ..errors import CommandError, as_c_string, unknown_form, wrong_arity
from ..registry import ACL_CATEGORIES, Command, command, container
from ..resp.encoder import OK, array, array_header, bulk, bulk_array, integer
from ..session import Session
from .arguments import required_integer
from .help import help_reply

_ADMIN: Final = "admin noscript loading stale"
_ANYBODY: Final = "noscript loading stale"
_PASSWORD_BITS_MAX: Final = 4096
_PASSWORD_BITS_DEFAULT: Final = 256
_LOG_COUNT_DEFAULT: Final = 10
_PER_USER: Final = "O(N) in the number of users"

_BAD_BITS: Final = CommandError(
    b"ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
    b"number up to %d" % _PASSWORD_BITS_MAX,
)
_NO_FILE: Final = CommandError(
    b"ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    b"via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    b"configuration file set) in order to store users in the Redis configuration.",
)
_NOT_SAVED: Final = CommandError(
    b"ERR There was an error trying to save the ACLs. Please check the server logs for more "
    b"information",
)

container("ACL", group="server", since="6.0.0", summary="Looks after users and their rights.")


# --- users -----------------------------------------------------------------------------------


@command(
    "ACL SETUSER",
    group="server",
    since="6.0.0",
    arity=-3,
    flags=_ADMIN,
    args="username [rule...]",
    complexity="O(N) in the number of rules",
)
def set_user(session: Session, args: list[bytes]) -> bytes:
    """Makes a user, or changes one."""
    session.machine.accounts.set_user(args[2], args[3:], session)
    return OK


@command(
    "ACL DELUSER",
    group="server",
    since="6.0.0",
    arity=-3,
    flags=_ADMIN,
    args="username...",
    complexity="O(N) in the number of connections",
)
def delete_user(session: Session, args: list[bytes]) -> bytes:
    """Removes users, and cuts off their clients."""
    if DEFAULT_NAME in args[2:]:
        raise CommandError(b"ERR The 'default' user cannot be removed")
    return integer(session.machine.accounts.delete_users(args[2:], session))


def _selector_fields(selector: Selector) -> list[bytes]:
    return [
        *(b"commands", selector.describe_commands()),
        *(b"keys", selector.describe_keys()),
        *(b"channels", selector.describe_channels()),
    ]


@command(
    "ACL GETUSER",
    group="server",
    since="6.0.0",
    arity=3,
    flags=_ADMIN,
    args="username",
    complexity="O(N) in the number of the user's rules",
)
def get_user(session: Session, args: list[bytes]) -> bytes:
    """Describes a user."""
    user = session.machine.accounts.maybe_user(args[2])
    encoder = session.encoder
    if user is None:
        return encoder.null
    root, *others = user.selectors
    return b"".join(
        [
            encoder.map_header(6),
            bulk(b"flags")
            + encoder.bulk_set([flag.word for flag in UserFlag if flag in user.flags]),
            bulk(b"passwords") + bulk_array([password.encode() for password in user.passwords]),
            *map(bulk, _selector_fields(root)),
            bulk(b"selectors"),
            array([encoder.bulk_map(_selector_fields(selector)) for selector in others]),
        ]
    )


@command("ACL LIST", group="server", since="6.0.0", arity=2, flags=_ADMIN, complexity=_PER_USER)
def list_(session: Session, args: list[bytes]) -> bytes:
    """Returns all users with their rules, as they would stand in a file."""
    return bulk_array([user_line(user) for user in session.machine.accounts.in_order()])


@command("ACL USERS", group="server", since="6.0.0", arity=2, flags=_ADMIN, complexity=_PER_USER)
def users(session: Session, args: list[bytes]) -> bytes:
    """Returns the names of all users."""
    return bulk_array([user.name for user in session.machine.accounts.in_order()])


@command("ACL WHOAMI", group="server", since="6.0.0", arity=2, flags=_ANYBODY)
def who_am_i(session: Session, args: list[bytes]) -> bytes:
    """Tells which user this connection is."""
    return bulk(session.user)


# --- help with rules -------------------------------------------------------------------------


@command(
    "ACL CAT",
    group="server",
    since="6.0.0",
    arity=-2,
    flags=_ANYBODY,
    args="[category]",
    complexity="O(N) in the number of commands",
)
def categories(session: Session, args: list[bytes]) -> bytes:
    """Returns the categories, or the commands of one."""
    if len(args) > 3:
        raise unknown_form("ACL", args[1])
    if len(args) == 2:
        return bulk_array([category.encode() for category in ACL_CATEGORIES])
    names = catalog().listed.get(args[2].lower().decode("latin-1"))
    if names is None:
        raise CommandError(b"ERR Unknown category '%b'" % as_c_string(args[2])[:128])
    return bulk_array([name.encode() for name in names])


@command(
    "ACL GENPASS",
    group="server",
    since="6.0.0",
    arity=-2,
    flags=_ANYBODY,
    args="[bits:integer]",
)
def generate_password(session: Session, args: list[bytes]) -> bytes:
    """Makes a password that nobody guesses."""
    if len(args) > 3:
        raise unknown_form("ACL", args[1])
    bits: int | None = _PASSWORD_BITS_DEFAULT
    if len(args) == 3:
        bits = required_integer(args[2])
    if bits is None or not 0 < bits <= _PASSWORD_BITS_MAX:
        raise _BAD_BITS
    digits = (bits + 3) // 4
    return bulk(b"%0*x" % (digits, session.machine.rng.getrandbits(digits * 4)))


@command(
    "ACL DRYRUN",
    group="server",
    since="7.0.0",
    arity=-4,
    flags=_ADMIN,
    args="username command [arg...]",
)
def dry_run(session: Session, args: list[bytes]) -> bytes:
    """Tells whether a user might run a command, without running it."""
    machine = session.machine
    user = machine.accounts.maybe_user(args[2])
    if user is None:
        raise CommandError(b"ERR User '%b' not found" % as_c_string(args[2]))
    request = args[3:]
    chosen = machine.gate.find(request[0])
    if chosen is not None and chosen.subcommands and len(request) > 1:
        chosen = chosen.subcommands.get(request[1].upper())
    if chosen is None:
        raise CommandError(b"ERR Command '%b' not found" % as_c_string(request[0]))
    if not chosen.spec.accepts(len(request)):
        raise wrong_arity(chosen.full_name)
    denial = user.maybe_denial(chosen, request)
    return OK if denial is None else bulk(_told_openly(denial, user, chosen, request))


def _told_openly(denial: Denial, user: User, chosen: Command, request: list[bytes]) -> bytes:
    """A refusal with all its facts; whoever asks may see everything anyway."""
    match denial.reason:
        case Reason.COMMAND:
            return b"User %b has no permissions to run the '%b' command" % (
                user.name,
                chosen.full_name.encode(),
            )
        case Reason.KEY:
            what = b"key"
        case _:
            what = b"channel"
    subject = as_c_string(request[denial.position])
    return b"User %b has no permissions to access the '%b' %b" % (user.name, subject, what)


# --- the log ---------------------------------------------------------------------------------


@command(
    "ACL LOG",
    group="server",
    since="6.0.0",
    arity=-2,
    flags=_ADMIN,
    args="[count|RESET]",
    complexity="O(N) in the number of entries returned",
)
def log(session: Session, args: list[bytes]) -> bytes:
    """Returns the latest refusals, or forgets them."""
    if len(args) > 3:
        raise unknown_form("ACL", args[1])
    entries = session.machine.accounts.log
    count = _LOG_COUNT_DEFAULT
    if len(args) == 3:
        if args[2].upper() == b"RESET":
            entries.clear()
            return OK
        number = required_integer(args[2])
        count = max(0, number)
    found = [_log_entry(session, entry) for entry in entries.newest(min(count, len(entries)))]
    return array_header(len(found)) + b"".join(found)


def _log_entry(session: Session, entry: LogEntry) -> bytes:
    encoder = session.encoder
    age_s = (session.machine.clock.now_ms - entry.updated_ms) / 1000
    fields = (
        (b"count", integer(entry.count)),
        (b"reason", bulk(entry.reason.word)),
        (b"context", bulk(entry.context)),
        (b"object", bulk(entry.subject)),
        (b"username", bulk(entry.user)),
        (b"age-seconds", encoder.double(age_s)),
        (b"client-info", bulk(entry.client)),
        (b"entry-id", integer(entry.id)),
        (b"timestamp-created", integer(entry.created_ms)),
        (b"timestamp-last-updated", integer(entry.updated_ms)),
    )
    return encoder.map_header(len(fields)) + b"".join(bulk(name) + told for name, told in fields)


# --- the file --------------------------------------------------------------------------------


@command("ACL LOAD", group="server", since="6.0.0", arity=2, flags=_ADMIN, complexity=_PER_USER)
def load(session: Session, args: list[bytes]) -> bytes:
    """Reads the users from the ACL file, and forgets all others."""
    accounts = session.machine.accounts
    if accounts.file is None:
        raise _NO_FILE
    try:
        accounts.load_file(session)
    except UserFileError as failure:
        raise CommandError(b"ERR " + failure.text) from None
    return OK


@command(
    "ACL SAVE",
    group="server",
    since="6.0.0",
    arity=2,
    flags=_ADMIN,
    complexity=_PER_USER,
)
def save(session: Session, args: list[bytes]) -> bytes:
    """Writes the users into the ACL file."""
    accounts = session.machine.accounts
    if accounts.file is None:
        raise _NO_FILE
    try:
        accounts.save_file()
    except OSError as failure:
        reason = failure.strerror or str(failure)
        session.machine.log.warning(f"Writing ACL file for ACL SAVE: {reason}")
        raise _NOT_SAVED from None
    return OK


@command("ACL HELP", group="server", since="6.0.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("ACL")
