"""DEBUG: a look inside, and levers for tests; `enable-debug-command` must allow it.

Unlike other commands with sub-commands, DEBUG is one command to the outside, as in Redis: its
sub-commands have no entries in the command table, no arity errors and no statistics of their own.
"""

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from ..digest import data_digest, key_digest
from ..errors import (
    MUST_BE_POSITIVE,
    NO_SUCH_KEY,
    NOT_AN_INTEGER,
    OUT_OF_RANGE,
    CommandError,
    unknown_form,
)
from ..eviction import AccessLog
from ..registry import command
from ..resp.encoder import OK, array, bulk, integer, simple
from ..session import Session
from ..values.glob import glob_match
from ..values.kinds import SHARED_COUNT, encoding_name, is_shared_integer
from ..values.numbers import parse_float_loosely, parse_integer
from ..values.packed import unpacked
from .arguments import required_integer
from .debug_cluster import close_on_drop, drop_packets, kill_links
from .persistence import debug_load_log, debug_reload
from .privileges import require_enabled
from .protocol_samples import protocol_sample

SubcommandFunction = Callable[[Session, list[bytes]], bytes]

_LRU_CLOCK_MASK: Final = (1 << 24) - 1
_SLEEP_MAX_S: Final = 86_400.0
_POPULATE_KEY_MAX: Final = 127
_POPULATE_BYTES_MAX: Final = 512 * 1024 * 1024
_PACKED_THRESHOLD_MAX: Final = 4 * 1024**3
_BAD_PACKED_THRESHOLD: Final = CommandError(
    b"ERR argument must be a memory value bigger than 1 and smaller than 4gb"
)
_UNITS: Final = {
    b"": 1,
    b"b": 1,
    b"k": 1000,
    b"kb": 1024,
    b"m": 1000**2,
    b"mb": 1024**2,
    b"g": 1000**3,
    b"gb": 1024**3,
}


@frozen
class Subcommand:
    """One sub-command: how many words it takes (DEBUG and its own name included), and its help."""

    low: int
    high: int
    usage: str
    help: str
    function: SubcommandFunction


_SUBCOMMANDS: Final[dict[bytes, Subcommand]] = {}


def _subcommand(usage: str, low: int, high: int) -> Callable[[SubcommandFunction], Any]:
    """Enter a function under the first word of `usage`; its docstring is the help."""

    def enter(function: SubcommandFunction) -> SubcommandFunction:
        assert function.__doc__, usage
        name = usage.split()[0].encode()
        _SUBCOMMANDS[name] = Subcommand(low, high, usage, function.__doc__, function)
        return function

    return enter


@command(
    "DEBUG",
    group="server",
    since="1.0.0",
    arity=-2,
    flags="admin noscript loading stale protected",
    args="subcommand [arg...]",
    complexity="That of the sub-command",
)
def debug(session: Session, args: list[bytes]) -> bytes:
    """Shows and changes the inside of the server, for tests."""
    require_enabled(session, "DEBUG", session.machine.config.enable_debug_command)
    chosen = _SUBCOMMANDS.get(args[1].upper())
    if chosen is None or not chosen.low <= len(args) <= chosen.high:
        raise unknown_form("DEBUG", args[1])
    return chosen.function(session, args)


_ANY_NUMBER: Final = 1 << 31


def _is_on(word: bytes) -> bool:
    """What C's atoi() makes of a switch: everything but a number is 0."""
    return bool(parse_integer(word))


# --- the data
# --------------------------------------------------------------------------------------


@_subcommand("DIGEST", 2, 2)
def _digest(session: Session, args: list[bytes]) -> bytes:
    """A fingerprint of all data; equal data gives equal ones, on Redis too."""
    return simple(data_digest(session.machine.keyspace).hex().encode())


@_subcommand("DIGEST-VALUE [key ...]", 2, _ANY_NUMBER)
def _digest_value(session: Session, args: list[bytes]) -> bytes:
    """Fingerprints of the values of some keys."""
    return array([simple(key_digest(session.db, key).hex().encode()) for key in args[2:]])


def _value(session: Session, key: bytes) -> Any:
    """What is stored under a key, be it dead already."""
    db = session.db
    value = db.slots[db.slot_of(key)].get(key)
    if value is None:
        raise NO_SUCH_KEY
    return unpacked(value, session.machine.limits)


@_subcommand("OBJECT key", 3, 3)
def _object(session: Session, args: list[bytes]) -> bytes:
    """How a key's value is kept. Its serialized length is not known here and shown as 0."""
    machine = session.machine
    db = session.db
    key = args[2]
    value = _value(session, key)
    access: AccessLog | None = db.access
    idle_ms = 0
    if access is not None and machine.memory.policy.uses_lru:
        idle_ms = access.idle_ms(db.slot_of(key), key)
    used_s = (machine.clock.now_ms - idle_ms) // 1000
    return simple(
        b"Value at:0x%012x refcount:%d encoding:%b serializedlength:0 lru:%d lru_seconds_idle:%d"
        % (
            id(value),
            SHARED_COUNT if is_shared_integer(value) else 1,
            encoding_name(value, machine.config),
            used_s & _LRU_CLOCK_MASK,
            idle_ms // 1000,
        ),
    )


@_subcommand("POPULATE count [prefix] [size]", 3, 5)
def _populate(session: Session, args: list[bytes]) -> bytes:
    """Creates so many strings prefix:0 (key:0), prefix:1 ... where there is none yet."""
    count = _not_negative(args[2])
    # As in Redis, where it is a C string in a small buffer.
    prefix = args[3].partition(b"\0")[0] if len(args) > 3 else b"key"
    size = _not_negative(args[4]) if len(args) > 4 else 0
    if size > _POPULATE_BYTES_MAX:
        raise OUT_OF_RANGE
    db = session.db
    for number in range(count):
        key = (b"%b:%d" % (prefix, number))[:_POPULATE_KEY_MAX]
        if db.peek(key) is None:
            text = b"value:%d" % number
            db.set(key, text[:size].ljust(size, b"\0") if size else text)
    return OK


def _not_negative(word: bytes) -> int:
    number = parse_integer(word)
    if number is None or number < 0:
        raise MUST_BE_POSITIVE
    return number


@_subcommand("HTSTATS database", 3, 3)
def _table_statistics(session: Session, args: list[bytes]) -> bytes:
    """How the keys of a database are spread over its slots."""
    number = required_integer(args[2])
    keyspace = session.machine.keyspace
    if not 0 <= number < keyspace.database_count:
        raise CommandError(b"ERR Out of range database")
    database = keyspace.database(number)
    text = "".join(
        f"[{title}]\n tables: {len(tables)}\n number of elements: {sum(map(len, tables))}\n"
        f" tables in use: {sum(map(bool, tables))}\n largest table: {max(map(len, tables))}\n"
        for title, tables in (("Dictionary HT", database.slots), ("Expires HT", database.volatile))
    )
    return session.encoder.verbatim(text.encode())


@_subcommand("HTSTATS-KEY key", 3, 3)
def _key_statistics(session: Session, args: list[bytes]) -> bytes:
    """How many elements the table under a key has."""
    if not session.db.exists(args[2]):
        raise NO_SUCH_KEY
    value = _value(session, args[2])
    encoding = encoding_name(value, session.machine.config)
    if encoding not in (b"hashtable", b"skiplist"):
        raise CommandError(
            b"ERR The value stored at the specified key is not represented using an hash table",
        )
    return session.encoder.verbatim(b"[Value HT]\n number of elements: %d\n" % len(value))


@_subcommand("SDSLEN key", 3, 3)
def _string_lengths(session: Session, args: list[bytes]) -> bytes:
    """The lengths of a key and its string."""
    key = args[2]
    value = _value(session, key)
    if encoding_name(value, session.machine.config) not in (b"embstr", b"raw"):
        raise CommandError(b"ERR Not an sds encoded string.")
    return simple(
        b"key_sds_len:%d, key_sds_avail:0, key_zmalloc: %d, val_sds_len:%d, val_sds_avail:0, "
        b"val_zmalloc: %d" % (len(key), len(key), len(value), len(value)),
    )


@_subcommand("LISTPACK key", 3, 3)
def _listpack(session: Session, args: list[bytes]) -> bytes:
    """Accepted for a compact value; there is nothing behind it to show."""
    value = _value(session, args[2])
    if encoding_name(value, session.machine.config) != b"listpack":
        raise CommandError(b"ERR Not a listpack encoded object.")
    return simple(b"Compact values have no listpack here.")


@_subcommand("QUICKLIST key [0|1]", 3, 4)
def _quicklist(session: Session, args: list[bytes]) -> bytes:
    """Accepted for a long list; there is nothing behind it to show."""
    value = _value(session, args[2])
    if encoding_name(value, session.machine.config) != b"quicklist":
        raise CommandError(b"ERR Not a quicklist encoded object.")
    return simple(b"Long lists have no quicklist here.")


@_subcommand("STRINGMATCH-LEN pattern text", 4, 4)
def _match(session: Session, args: list[bytes]) -> bytes:
    """Whether a text matches a pattern (1) or not (0)."""
    return integer(int(glob_match(args[2], args[3])))


# --- the server
# ------------------------------------------------------------------------------------


@_subcommand("SLEEP seconds", 3, 3)
def _sleep(session: Session, args: list[bytes]) -> bytes:
    """Stops the whole server for so long; decimals are allowed."""
    seconds = parse_float_loosely(args[2]) or 0.0
    if seconds > 0:
        session.machine.sleep(min(seconds, _SLEEP_MAX_S))
    return OK


@_subcommand("SET-ACTIVE-EXPIRE 0|1", 3, 3)
def _set_active_expire(session: Session, args: list[bytes]) -> bytes:
    """Whether dead keys are removed even if nobody asks for them."""
    session.machine.active_expiry = _is_on(args[2])
    return OK


@_subcommand("PAUSE-CRON 0|1", 3, 3)
def _pause_cron(session: Session, args: list[bytes]) -> bytes:
    """Stops what is done regularly; waiting clients are still woken in time."""
    session.machine.debug_switches.cron_is_paused = _is_on(args[2])
    return OK


@_subcommand("ERROR text", 3, 3)
def _error(session: Session, args: list[bytes]) -> bytes:
    """Replies with an error of this text."""
    raise CommandError(args[2])


@_subcommand("LOG text", 3, 3)
def _log(session: Session, args: list[bytes]) -> bytes:
    """Writes a text to the log."""
    session.machine.log.warning(f"DEBUG LOG: {args[2].decode('latin-1')}")
    return OK


@_subcommand("PROTOCOL kind", 3, 3)
def _protocol(session: Session, args: list[bytes]) -> bytes:
    """Replies with a sample of a kind of reply, such as map or verbatim."""
    return protocol_sample(session.encoder, args[2])


@_subcommand("CHANGE-REPL-ID", 2, 2)
def _change_replication_id(session: Session, args: list[bytes]) -> bytes:
    """Gives the history of the data another name."""
    machine = session.machine
    machine.replication_id = b"%040x" % machine.rng.getrandbits(160)
    machine.log.warning("Changing replication IDs after receiving change-repl-id")
    return OK


@_subcommand("REPLICATE word ...", 3, _ANY_NUMBER)
def _replicate(session: Session, args: list[bytes]) -> bytes:
    """Sends a command to replicas and the append-only file without running it."""
    db = session.db
    db.effects.propagate_before(db.index, args[2:])
    return OK


@_subcommand("REPLYBUFFER PEAK-RESET-TIME NEVER|RESET|milliseconds | RESIZING 0|1", 4, 4)
def _reply_buffer(session: Session, args: list[bytes]) -> bytes:
    """Accepted: reply buffers have no size of their own here."""
    option, value = args[2].upper(), args[3].upper()
    if option == b"RESIZING":
        return OK
    if option == b"PEAK-RESET-TIME":
        if value not in (b"NEVER", b"RESET") and parse_integer(value) is None:
            raise NOT_AN_INTEGER
        return OK
    raise unknown_form("DEBUG", args[1])


@_subcommand("QUICKLIST-PACKED-THRESHOLD size", 3, 3)
def _packed_threshold(session: Session, args: list[bytes]) -> bytes:
    """Accepted: lists have no packed nodes here."""
    digits = args[2].rstrip(b"bkmgBKMG")
    number = parse_integer(digits)
    unit = _UNITS.get(args[2][len(digits) :].lower())
    if number is None or unit is None or not 0 <= number * unit <= _PACKED_THRESHOLD_MAX:
        raise _BAD_PACKED_THRESHOLD
    return OK


@_subcommand("SET-SKIP-CHECKSUM-VALIDATION 0|1", 3, 3)
def _skip_checksums(session: Session, args: list[bytes]) -> bytes:
    """Whether checksums of serialized data are ignored."""
    session.machine.debug_switches.skip_checksums = _is_on(args[2])
    return OK


@_subcommand("SET-DISABLE-DENY-SCRIPTS 0|1", 3, 3)
def _disable_deny_scripts(session: Session, args: list[bytes]) -> bytes:
    """Whether scripts may run commands that are not for scripts."""
    session.machine.debug_switches.scripts_may_all = _is_on(args[2])
    return OK


@_subcommand("STRUCTSIZE", 2, 2)
def _structure_sizes(session: Session, args: list[bytes]) -> bytes:
    """The sizes of basic structures; strings are kept bare here."""
    return bulk(b"bits:64 robj:0 dictentry:48 sdshdr8:33 ")


for _name, _words, _help, _function in (
    ("CLUSTERLINK KILL to|from|all node-id", 5, "Cuts links to another node.", kill_links),
    ("DROP-CLUSTER-PACKET-FILTER type", 3, "Drops packets of one type; -1: none.", drop_packets),
    ("CLOSE-CLUSTER-LINK-ON-PACKET-DROP 0|1", 3, "Also closes their links.", close_on_drop),
):
    _SUBCOMMANDS[_name.split()[0].encode()] = Subcommand(_words, _words, _name, _help, _function)


_SUBCOMMANDS[b"RELOAD"] = Subcommand(
    2,
    _ANY_NUMBER,
    "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
    "Saves the data and loads it again.",
    debug_reload,
)
_SUBCOMMANDS[b"LOADAOF"] = Subcommand(
    2, 2, "LOADAOF", "Loads the append-only file again.", debug_load_log
)


@_subcommand("HELP", 2, 2)
def _help_reply(session: Session, args: list[bytes]) -> bytes:
    """Prints this help."""
    lines = ["DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for _, entry in sorted(_SUBCOMMANDS.items()):
        lines += (entry.usage, f"    {entry.help}")
    return array([simple(line.encode()) for line in lines])
