"""CLIENT TRACKING and its kin: which client keeps copies of values, and how it is told."""

from attrs import define, field

from ..errors import SYNTAX, CommandError
from ..registry import command
from ..resp.encoder import OK, bulk, bulk_array, integer
from ..session import Session
from ..tracking import BROKEN, FEATURE, Tracker
from .arguments import required_integer

_ANY_TIME = "noscript loading stale"


@define
class _Options:
    """What stands behind ON or OFF."""

    redirect_id: int = 0
    is_broadcast: bool = False
    is_opt_in: bool = False
    is_opt_out: bool = False
    skips_own: bool = False
    prefixes: list[bytes] = field(factory=list)


def _tracker(session: Session) -> Tracker | None:
    found: Tracker | None = session.features.get(FEATURE)
    return found


def _options(session: Session, words: list[bytes]) -> _Options:
    options = _Options()
    position = 0
    while position < len(words):
        word = words[position].upper()
        has_value = position + 1 < len(words)
        if word == b"REDIRECT" and has_value:
            position += 1
            if options.redirect_id:
                raise CommandError(b"ERR A client can only redirect to a single other client")
            number = required_integer(words[position])
            if number not in session.machine.sessions:
                raise CommandError(b"ERR The client ID you want redirect to does not exist")
            options.redirect_id = number
        elif word == b"PREFIX" and has_value:
            position += 1
            options.prefixes.append(words[position])
        elif word == b"BCAST":
            options.is_broadcast = True
        elif word == b"OPTIN":
            options.is_opt_in = True
        elif word == b"OPTOUT":
            options.is_opt_out = True
        elif word == b"NOLOOP":
            options.skips_own = True
        else:
            raise SYNTAX
        position += 1
    return options


def _check(tracker: Tracker | None, options: _Options) -> None:
    """Whether the options go together, and with what is in force."""
    if options.prefixes and not options.is_broadcast:
        raise CommandError(b"ERR PREFIX option requires BCAST mode to be enabled")
    if tracker is not None and tracker.is_broadcast != options.is_broadcast:
        raise CommandError(
            b"ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
            b"and then re-enabling it with a different mode."
        )
    if options.is_broadcast and (options.is_opt_in or options.is_opt_out):
        raise CommandError(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
    if options.is_opt_in and options.is_opt_out:
        raise CommandError(b"ERR You can't specify both OPTIN mode and OPTOUT mode")
    if tracker is not None and (
        (options.is_opt_in and tracker.is_opt_out) or (options.is_opt_out and tracker.is_opt_in)
    ):
        raise CommandError(
            b"ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
            b"and then re-enabling it with a different mode."
        )
    _check_prefixes(sorted(tracker.prefixes) if tracker is not None else [], options.prefixes)


def _check_prefixes(old: list[bytes], new: list[bytes]) -> None:
    """No prefix may begin with another one: a key would be told twice."""
    for position, prefix in enumerate(new):
        for other in old:
            if prefix.startswith(other) or other.startswith(prefix):
                raise _overlap(prefix, b"an existing prefix", other)
        for other in new[position + 1 :]:
            if prefix.startswith(other) or other.startswith(prefix):
                raise _overlap(prefix, b"another provided prefix", other)


def _overlap(prefix: bytes, what: bytes, other: bytes) -> CommandError:
    return CommandError(
        b"ERR Prefix '%b' overlaps with %b '%b'. Prefixes for a single client must not overlap."
        % (prefix, what, other)
    )


@command(
    "CLIENT TRACKING",
    group="connection",
    since="6.0.0",
    arity=-3,
    flags=_ANY_TIME,
    args=(
        "ON|OFF [REDIRECT client-id:integer] [PREFIX prefix:string...] [BCAST] [OPTIN] [OPTOUT] "
        "[NOLOOP]"
    ),
    complexity="O(1) but for its prefixes",
)
def tracking(session: Session, args: list[bytes]) -> bytes:
    """Tells this client from now on (or no more) when keys that it has read change."""
    options = _options(session, args[3:])
    machine = session.machine
    switch = args[2].upper()
    if switch == b"ON":
        _check(_tracker(session), options)
        machine.tracking.enable(
            session,
            redirect_id=options.redirect_id,
            is_broadcast=options.is_broadcast,
            is_opt_in=options.is_opt_in,
            is_opt_out=options.is_opt_out,
            skips_own=options.skips_own,
            prefixes=options.prefixes,
        )
    elif switch == b"OFF":
        machine.tracking.disable(session)
    else:
        raise SYNTAX
    return OK


@command(
    "CLIENT CACHING",
    group="connection",
    since="6.0.0",
    arity=3,
    flags=_ANY_TIME,
    args="YES|NO",
)
def caching(session: Session, args: list[bytes]) -> bytes:
    """Makes the next command an exception to OPTIN or OPTOUT."""
    tracker = _tracker(session)
    if tracker is None:
        raise CommandError(
            b"ERR CLIENT CACHING can be called only when the client is in tracking mode with "
            b"OPTIN or OPTOUT mode enabled"
        )
    choice = args[2].upper()
    if choice == b"YES":
        if not tracker.is_opt_in:
            raise CommandError(
                b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
            )
    elif choice == b"NO":
        if not tracker.is_opt_out:
            raise CommandError(
                b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
            )
    else:
        raise SYNTAX
    tracker.is_caching_named = True
    return OK


@command("CLIENT GETREDIR", group="connection", since="6.0.0", arity=2, flags=_ANY_TIME)
def getredir(session: Session, args: list[bytes]) -> bytes:
    """Tells which connection hears what is out of date: 0 for this one, -1 for none."""
    tracker = _tracker(session)
    return integer(-1 if tracker is None else tracker.redirect_id)


@command("CLIENT TRACKINGINFO", group="connection", since="6.2.0", arity=2, flags=_ANY_TIME)
def trackinginfo(session: Session, args: list[bytes]) -> bytes:
    """Tells how this client is told of changes."""
    encoder = session.encoder
    tracker = _tracker(session)
    redirect_id, prefixes = -1, list[bytes]()
    flags = [b"off"]
    if tracker is not None:
        flags = _flags(session, tracker)
        redirect_id, prefixes = tracker.redirect_id, sorted(tracker.prefixes)
    return b"".join(
        (
            encoder.map_header(3),
            bulk(b"flags"),
            encoder.bulk_set(flags),
            bulk(b"redirect"),
            integer(redirect_id),
            bulk(b"prefixes"),
            bulk_array(prefixes),
        )
    )


def _flags(session: Session, tracker: Tracker) -> list[bytes]:
    flags = [b"on"]
    if tracker.is_broadcast:
        flags.append(b"bcast")
    if tracker.is_opt_in:
        flags.append(b"optin")
        if tracker.is_caching_named:
            flags.append(b"caching-yes")
    if tracker.is_opt_out:
        flags.append(b"optout")
        if tracker.is_caching_named:
            flags.append(b"caching-no")
    if tracker.skips_own:
        flags.append(b"noloop")
    if BROKEN in session.flags:
        flags.append(b"broken_redirect")
    return flags
