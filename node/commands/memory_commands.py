"""MEMORY: how much of it the data takes. The figures are those of `node/memory.py`."""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import SYNTAX
from ..memory import DICT_ENTRY_BYTES, LIFETIME_BYTES, SAMPLES, entry_size
from ..observe.sections_data import MemoryReport, memory_report
from ..observe.traffic import EMPTY_NODE_BYTES
from ..registry import command, container
from ..resp.encoder import OK, bulk, integer
from ..session import Session
from ..values.numbers import format_bytes_for_humans
from .arguments import required_integer
from .help import help_reply

_SHARDS: Final = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")
#: Less than this is not worth a diagnosis.
_LITTLE_BYTES: Final = 5 * 1024 * 1024
_HIGH_PEAK_RATIO: Final = 1.5
_HIGH_RESIDENT_RATIO: Final = 2.0
_BIG_CLIENT_BYTES: Final = 200 * 1024

container("MEMORY", group="server", since="4.0.0", summary="Tells what takes how much memory.")


@command(
    "MEMORY USAGE",
    group="server",
    since="4.0.0",
    arity=-3,
    flags="readonly",
    keys=(one_key(2, "RO"),),
    args="key [SAMPLES count]",
    complexity="O(N) in the number of samples",
)
def usage(session: Session, args: list[bytes]) -> bytes:
    """Estimates how many bytes a key and its value take."""
    samples = SAMPLES
    position = 3
    while position < len(args):
        if args[position].upper() != b"SAMPLES" or position + 1 == len(args):
            raise SYNTAX
        number = required_integer(args[position + 1])
        if number < 0:
            raise SYNTAX
        samples = number
        position += 2
    db = session.db
    key = args[2]
    value = db.look(key)
    if value is None:
        return session.encoder.null
    lifetime = LIFETIME_BYTES if db.expiry(key) is not None else 0
    return integer(entry_size(key, value, samples) + lifetime)


@command("MEMORY STATS", group="server", since="4.0.0", arity=2, tips=_SHARDS)
def stats(session: Session, args: list[bytes]) -> bytes:
    """Returns what takes how much memory."""
    machine = session.machine
    encoder = session.encoder
    report = memory_report(machine)
    databases = [
        (database, count)
        for database in machine.keyspace.existing()
        if (count := database.key_count())
    ]
    keys = sum(count for _, count in databases)
    figures: dict[str, bytes] = {
        "peak.allocated": integer(report.peak),
        "total.allocated": integer(report.used),
        "startup.allocated": integer(EMPTY_NODE_BYTES),
        "replication.backlog": integer(0),
        "clients.slaves": integer(0),
        "clients.normal": integer(report.clients),
        "cluster.links": integer(0),
        "aof.buffer": integer(0),
        "lua.caches": integer(machine.scripts.size_bytes),
        "functions.caches": integer(machine.functions.size_bytes),
    }
    for database, count in databases:
        figures[f"db.{database.index}"] = (
            encoder.map_header(3)
            + bulk(b"overhead.hashtable.main")
            + integer(count * DICT_ENTRY_BYTES)
            + bulk(b"overhead.hashtable.expires")
            + integer(database.volatile_count * LIFETIME_BYTES)
            + bulk(b"overhead.hashtable.slot-to-keys")
            + integer(0)
        )
    surplus = report.resident - report.used
    figures |= {
        "overhead.total": integer(report.overhead),
        "keys.count": integer(keys),
        "keys.bytes-per-key": integer((report.used - EMPTY_NODE_BYTES) // keys if keys else 0),
        "dataset.bytes": integer(report.dataset),
        "dataset.percentage": encoder.double(report.dataset_percentage),
        "peak.percentage": encoder.double(report.peak_percentage),
        "allocator.allocated": integer(report.used),
        "allocator.active": integer(report.resident),
        "allocator.resident": integer(report.resident),
        "allocator-fragmentation.ratio": encoder.double(report.fragmentation_ratio),
        "allocator-fragmentation.bytes": integer(surplus),
        "allocator-rss.ratio": encoder.double(1.0),
        "allocator-rss.bytes": integer(0),
        "rss-overhead.ratio": encoder.double(1.0),
        "rss-overhead.bytes": integer(0),
        "fragmentation": encoder.double(report.fragmentation_ratio),
        "fragmentation.bytes": integer(surplus),
    }
    return encoder.map_header(len(figures)) + b"".join(
        bulk(name.encode()) + figure for name, figure in figures.items()
    )


@command("MEMORY DOCTOR", group="server", since="4.0.0", arity=2, tips=_SHARDS)
def doctor(session: Session, args: list[bytes]) -> bytes:
    """Looks for what is wrong with the use of memory."""
    report = memory_report(session.machine)
    return session.encoder.verbatim(_diagnosis(report, len(session.machine.sessions)).encode())


def _diagnosis(report: MemoryReport, client_count: int) -> str:
    if report.used - EMPTY_NODE_BYTES < _LITTLE_BYTES:
        return "There is hardly any data here, so there is nothing to say about its memory yet.\n"
    findings: list[str] = []
    if report.peak > report.used * _HIGH_PEAK_RATIO:
        findings.append(
            f"Peak: at its highest the data took {_human(report.peak)}, now it takes "
            f"{_human(report.used)}. The process gives memory back to the system only in part, "
            "so it may look larger than it needs to be until it is restarted."
        )
    if report.resident > report.used * _HIGH_RESIDENT_RATIO:
        findings.append(
            f"Fragmentation: the process occupies {_human(report.resident)}, "
            f"{report.fragmentation_ratio:.1f} times what is accounted for. A part of that is the "
            "interpreter itself; if the figure grows while the data does not, restart the node."
        )
    if client_count and report.clients // client_count > _BIG_CLIENT_BYTES:
        findings.append(
            f"Clients: their buffers hold {_human(report.clients)}. Some client reads too slowly; "
            "CLIENT LIST shows it (omem), client-output-buffer-limit bounds it."
        )
    if not findings:
        return "Nothing is wrong with the use of memory.\n"
    return "This was found:\n\n" + "".join(f" * {finding}\n\n" for finding in findings)


def _human(size_bytes: int) -> str:
    return format_bytes_for_humans(size_bytes).decode()


@command(
    "MEMORY PURGE",
    group="server",
    since="4.0.0",
    arity=2,
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def purge(session: Session, args: list[bytes]) -> bytes:
    """Does nothing: Python gives back what it can by itself."""
    return OK


@command("MEMORY MALLOC-STATS", group="server", since="4.0.0", arity=2, tips=_SHARDS)
def allocator_statistics(session: Session, args: list[bytes]) -> bytes:
    """Reports what is known of the allocator."""
    report = memory_report(session.machine)
    text = (
        "Python's own allocator serves this process; it keeps no statistics at run time.\n"
        f"Accounted for: {report.used} bytes, resident: {report.resident} bytes\n"
    )
    return session.encoder.verbatim(text.encode())


@command("MEMORY HELP", group="server", since="4.0.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("MEMORY")
