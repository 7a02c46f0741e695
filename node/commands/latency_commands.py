"""LATENCY: when the node was slow, and how long each command takes."""

from typing import Final

from ..errors import CommandError, as_c_string
from ..latency import Spikes, draw_spikes
from ..observe.percentiles import cumulative
from ..observe.traffic import all_commands
from ..registry import Command, command, container
from ..resp.encoder import array, bulk, integer
from ..session import Session
from .help import help_reply

_FLAGS = "admin noscript loading stale"
_TIPS: Final = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")

container("LATENCY", group="server", since="2.8.13", summary="Tells when the server was slow.")


@command("LATENCY LATEST", group="server", since="2.8.13", arity=2, flags=_FLAGS, tips=_TIPS)
def latest(session: Session, args: list[bytes]) -> bytes:
    """Returns of each kind of event the latest spike and the longest."""
    return array(
        [
            array([bulk(event.encode("latin-1")), integer(at_s), integer(last), integer(longest)])
            for event, at_s, last, longest in session.machine.latency.latest()
        ]
    )


@command(
    "LATENCY HISTORY",
    group="server",
    since="2.8.13",
    arity=3,
    flags=_FLAGS,
    args="event",
    tips=_TIPS,
)
def history(session: Session, args: list[bytes]) -> bytes:
    """Returns the remembered spikes of one kind of event."""
    series = session.machine.latency.history(_event(args[2]))
    return array([array([integer(at_s), integer(length)]) for at_s, length in series])


@command(
    "LATENCY RESET",
    group="server",
    since="2.8.13",
    arity=-2,
    flags=_FLAGS,
    args="[event...]",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def reset(session: Session, args: list[bytes]) -> bytes:
    """Forgets the spikes of some kinds of events, or of all."""
    events = [*map(_event, args[2:])]
    return integer(session.machine.latency.reset(events or None))


@command(
    "LATENCY GRAPH",
    group="server",
    since="2.8.13",
    arity=3,
    flags=_FLAGS,
    args="event",
    tips=_TIPS,
)
def graph(session: Session, args: list[bytes]) -> bytes:
    """Draws the spikes of one kind of event."""
    machine = session.machine
    event = _event(args[2])
    spikes = machine.latency.maybe_spikes(event)
    if spikes is None:
        raise CommandError(b"ERR No samples available for event '%b'" % as_c_string(args[2]))
    drawn = draw_spikes(spikes, machine.latency.history(event), machine.clock.now_ms // 1000)
    return session.encoder.verbatim(drawn.encode("latin-1"))


def _event(name: bytes) -> str:
    return name.decode("latin-1")


# --- advice
# ----------------------------------------------------------------------------------------


@command("LATENCY DOCTOR", group="server", since="2.8.13", arity=2, flags=_FLAGS, tips=_TIPS)
def doctor(session: Session, args: list[bytes]) -> bytes:
    """Explains the spikes, and what helps against them."""
    machine = session.machine
    monitor = machine.latency
    if not monitor.threshold_ms:
        text = (
            "The latency monitor is off, so there is nothing to examine. Switch it on with CONFIG "
            "SET latency-monitor-threshold <milliseconds> and come back after a while.\n"
        )
    else:
        found = monitor.all_spikes()
        text = _findings(found) + _advice(session, found) if found else _ALL_WELL
    return session.encoder.verbatim(text.encode("latin-1"))


_ALL_WELL: Final = (
    "No latency spike was seen since the monitor was switched on. As far as this server can tell, "
    "all is well.\n"
)


def _findings(found: list[Spikes]) -> str:
    lines = ["These latency spikes were seen:\n\n"]
    for number, spikes in enumerate(found, start=1):
        period = f", one every {spikes.period_s:.1f} seconds" if spikes.count > 1 else ""
        lines.append(
            f"{number}. {spikes.event}: {spikes.count} (mean {spikes.mean_ms} ms, deviation "
            f"{spikes.deviation_ms} ms{period}); the worst ever took {spikes.highest_ever_ms} ms.\n"
        )
    return "".join(lines)


def _advice(session: Session, found: list[Spikes]) -> str:
    """What can be done about the kinds of events that were seen."""
    machine = session.machine
    events = {spikes.event for spikes in found}
    lines = ["\nWhat may help:\n\n"]
    if "command" in events:
        threshold_us = machine.command_logs.slow.threshold
        wanted_us = machine.latency.threshold_ms * 1000
        if not 0 <= threshold_us <= wanted_us:
            lines.append(
                "- The slow log misses some of these commands: CONFIG SET slowlog-log-slower-than "
                f"{wanted_us} shows them all.\n"
            )
        lines.append(
            "- SLOWLOG GET names the commands. Those over large collections (KEYS, SMEMBERS, "
            "LRANGE without end, SORT) can often be replaced with SCAN and its like, in steps.\n"
        )
        lines.append("- Large values are best removed with UNLINK, which frees them bit by bit.\n")
    if "fast-command" in events:
        lines.append(
            "- Even simple commands were slow: the machine has too little processor time or "
            "memory left for this process. Look for other load, and for swapping.\n"
        )
    if len(lines) == 1:
        lines.append("- Nothing is known about these kinds of events.\n")
    return "".join(lines)


# --- histograms
# ------------------------------------------------------------------------------------


@command(
    "LATENCY HISTOGRAM",
    group="server",
    since="7.0.0",
    arity=-2,
    flags=_FLAGS,
    args="[command...]",
    complexity="O(N) in the number of commands shown",
    tips=_TIPS,
)
def histogram(session: Session, args: list[bytes]) -> bytes:
    """Returns how many calls of each command kept within which time."""
    encoder = session.encoder
    shown: dict[str, bytes] = {}
    for running in _wanted(session, args[2:]):
        counted = running.statistics.histogram
        if not any(counted):
            continue
        steps = cumulative(counted)
        shown[running.full_name] = (
            encoder.map_header(2)
            + bulk(b"calls")
            + integer(sum(counted))
            + bulk(b"histogram_usec")
            + encoder.map_header(len(steps))
            + b"".join(integer(bound) + integer(calls) for bound, calls in steps)
        )
    return encoder.map_header(len(shown)) + b"".join(
        bulk(name.encode()) + reply for name, reply in shown.items()
    )


def _wanted(session: Session, names: list[bytes]) -> list[Command]:
    """The commands that a request names (a container stands for all in it), or all."""
    machine = session.machine
    if not machine.config.latency_tracking:
        return []
    if not names:
        return all_commands(machine)
    found: list[Command] = []
    for name in names:
        parent_name, _, child_name = name.partition(b"|")
        parent = machine.gate.find(parent_name)
        if parent is None:
            continue
        if not child_name:
            found += (parent, *parent.subcommands.values())
        elif (child := parent.subcommands.get(child_name.upper())) is not None:
            found.append(child)
    return found


@command("LATENCY HELP", group="server", since="2.8.13", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("LATENCY")
