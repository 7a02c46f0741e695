"""REPLICAOF and its relatives, and what replicas say to their primary."""

from typing import Final

from ..errors import (
    MUST_BE_POSITIVE,
    NOT_AN_INTEGER,
    SYNTAX,
    TIMEOUT_NEGATIVE,
    TIMEOUT_NOT_AN_INTEGER,
    CommandError,
)
from ..persistence.status import LogState
from ..registry import command
from ..replication.failover import FailoverState
from ..replication.primary import Peer
from ..replication.section import role_reply
from ..replication.waiting import NO_LOCAL_LOG
from ..resp.encoder import OK, simple
from ..session import ClientKind, Session
from ..values.numbers import parse_integer
from .arguments import required_integer

_PORT_MAX: Final = 65_535
_WHICH: Final = "host-port:(host port:integer)|no-one:(NO ONE)"
_ROLE_FLAGS: Final = "admin noscript stale no_async_loading"


def _port(word: bytes) -> int | None:
    port = parse_integer(word)
    return port if port is not None and 0 <= port <= _PORT_MAX else None


@command("REPLICAOF", group="server", since="5.0.0", arity=3, flags=_ROLE_FLAGS, args=_WHICH)
def replicaof(session: Session, args: list[bytes]) -> bytes:
    """Follows a primary, or (NO ONE) becomes one."""
    machine = session.machine
    replication = machine.replication
    if machine.config.cluster_enabled:
        raise CommandError(b"ERR REPLICAOF not allowed in cluster mode.")
    if replication.failover.state is not FailoverState.NONE:
        raise CommandError(b"ERR REPLICAOF not allowed while failing over.")
    if args[1].lower() == b"no" and args[2].lower() == b"one":
        if replication.is_replica:
            replication.become_primary()
            machine.log.notice(f"MASTER MODE enabled (user request from '{session.address}')")
        return OK
    if session.kind is ClientKind.REPLICA:
        raise CommandError(b"ERR Command is not valid when client is a replica.")
    port = _port(args[2])
    if port is None:
        raise CommandError(b"ERR Invalid master port")
    host = args[1].decode("utf-8", "surrogateescape")
    present = replication.primary
    if present is not None and (present.host.lower(), present.port) == (host.lower(), port):
        return simple(b"OK Already connected to specified master")
    replication.follow(host, port)
    machine.log.notice(f"REPLICAOF {host}:{port} enabled (user request from '{session.address}')")
    return OK


@command(
    "SLAVEOF",
    group="server",
    since="1.0.0",
    arity=3,
    flags=_ROLE_FLAGS,
    args=_WHICH,
    deprecated=("5.0.0", "`REPLICAOF`"),
)
def slaveof(session: Session, args: list[bytes]) -> bytes:
    """Follows a primary, or (NO ONE) becomes one."""
    return replicaof(session, args)


@command(
    "ROLE",
    group="server",
    since="2.8.12",
    arity=1,
    flags="noscript loading stale fast",
    categories="admin dangerous",
)
def role(session: Session, args: list[bytes]) -> bytes:
    """Tells whether this is a primary or a replica, and of whom."""
    return role_reply(session.machine)


def _begin_sync(session: Session, identity: bytes, offset: int, *, is_ancient: bool) -> bytes:
    replication = session.machine.replication
    if session.kind is ClientKind.REPLICA:
        return b""
    if replication.is_replica and not replication.is_link_up:
        raise CommandError(b"NOMASTERLINK Can't SYNC while not connected with my master")
    if session.outbox:
        raise CommandError(b"ERR SYNC and PSYNC are invalid with pending output")
    peer = replication.peer_of(session)
    if peer.is_filtered and not peer.understands_eof:
        # Such a snapshot must not take the place of the one on disk.
        raise CommandError(b"ERR Filtered replica requires EOF capability")
    peer.is_ancient = is_ancient
    replication.admit(peer, identity, offset)
    return b""


@command(
    "PSYNC",
    group="server",
    since="2.8.0",
    arity=-3,
    flags="admin noscript no_async_loading no_multi",
    args="replicationid offset:integer",
    complexity="O(1) with the backlog at hand; O(N) for a full copy",
)
def psync(session: Session, args: list[bytes]) -> bytes:
    """Asks for the replication stream."""
    replication = session.machine.replication
    if replication.failover.state is not FailoverState.NONE:
        raise CommandError(b"NOMASTERLINK Can't SYNC while failing over")
    if len(args) > 3 and args[3].lower() == b"failover":
        if not replication.is_replica:
            raise CommandError(b"ERR PSYNC FAILOVER can't be sent to a master.")
        if args[1] != replication.history.identity:
            raise CommandError(b"ERR PSYNC FAILOVER replid must match my replid.")
        session.machine.log.warning("Failover request received: becoming a primary")
        replication.become_primary()
    offset = required_integer(args[2])
    return _begin_sync(session, args[1], offset, is_ancient=False)


@command(
    "SYNC",
    group="server",
    since="1.0.0",
    arity=1,
    flags="admin noscript no_async_loading no_multi",
    complexity="O(N) in the number of keys",
)
def sync(session: Session, args: list[bytes]) -> bytes:
    """Asks for a full copy and the replication stream, as of old."""
    return _begin_sync(session, b"?", -1, is_ancient=True)


@command(
    "REPLCONF",
    group="server",
    since="3.0.0",
    arity=-1,
    flags="admin noscript loading stale allow_busy",
)
def replconf(session: Session, args: list[bytes]) -> bytes:
    """Tells what the other end of a replication link has to know."""
    if len(args) % 2 == 0:
        raise SYNTAX
    replication = session.machine.replication
    for option, value in zip(args[1::2], args[2::2], strict=True):
        name = option.lower()
        if name == b"ack":
            offset = parse_integer(value)
            if session.kind is ClientKind.REPLICA and offset is not None:
                synced = args[4] if len(args) > 4 and args[3].lower() == b"fack" else b""
                replication.on_ack(replication.peer_of(session), offset, parse_integer(synced))
            return b""
        if name == b"getack":
            # Only a primary asks that, in its stream; the link answers it.
            return b""
        peer = replication.peer_of(session)
        if name == b"listening-port":
            port = required_integer(value)
            peer.port = port
        elif name == b"ip-address":
            if len(value) > 255:
                raise CommandError(
                    b"ERR REPLCONF ip-address provided by replica instance is too long: %d bytes"
                    % len(value)
                )
            peer.announced_ip = value.decode("latin-1")
        elif name == b"capa":
            peer.understands_eof = peer.understands_eof or value.lower() == b"eof"
            peer.understands_psync2 = peer.understands_psync2 or value.lower() == b"psync2"
            peer.understands_marks = peer.understands_marks or value.lower() == b"slot-marks"
        elif name == b"rdb-only":
            peer.only_snapshot = value != b"0"
        elif name == b"rdb-filter-only":
            _filter(peer, value)
        else:
            raise CommandError(b"ERR Unrecognized REPLCONF option: %b" % option)
    return OK


def _filter(peer: Peer, value: bytes) -> None:
    """What a snapshot is to hold only; there is one such thing."""
    words = value.split()
    for word in words:
        if word.lower() != b"functions":
            raise CommandError(b"ERR Unsupported rdb-filter-only option: %b" % word)
    peer.is_filtered = True
    peer.wants_functions = bool(words)


@command(
    "WAIT",
    group="generic",
    since="3.0.0",
    arity=3,
    flags="noscript",
    categories="connection",
    bare=True,
    args="numreplicas:integer timeout:integer",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def wait(session: Session, args: list[bytes]) -> bytes:
    """Waits until so many replicas have what was written."""
    replication = session.machine.replication
    if replication.is_replica:
        raise CommandError(
            b"ERR WAIT cannot be used with replica instances. Please also note that since Redis "
            b"4.0 if a replica is configured to be writable (which is not the default) writes to "
            b"replicas are just local and are not propagated."
        )
    wanted = required_integer(args[1])
    return replication.waits.wait(session, wanted, _timeout_ms(args[2]))


def _timeout_ms(word: bytes) -> int:
    timeout_ms = parse_integer(word)
    if timeout_ms is None:
        raise TIMEOUT_NOT_AN_INTEGER
    if timeout_ms < 0:
        raise TIMEOUT_NEGATIVE
    return timeout_ms


@command(
    "WAITAOF",
    group="generic",
    since="7.2.0",
    arity=4,
    flags="noscript blocking",
    categories="connection",
    bare=True,
    args="numlocal:integer numreplicas:integer timeout:integer",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)
def wait_aof(session: Session, args: list[bytes]) -> bytes:
    """Waits until what was written is on so many disks: this node's own, and those of replicas."""
    machine = session.machine
    wanted_local, wanted = parse_integer(args[1]), parse_integer(args[2])
    if wanted_local is None or wanted is None:
        raise NOT_AN_INTEGER
    if not 0 <= wanted_local <= 1:
        raise CommandError(b"ERR value is out of range, must be between 0 and 1")
    if wanted < 0:
        raise MUST_BE_POSITIVE
    timeout_ms = _timeout_ms(args[3])
    if machine.replication.is_replica:
        raise CommandError(
            b"ERR WAITAOF cannot be used with replica instances. Please also note that writes to "
            b"replicas are just local and are not propagated."
        )
    if wanted_local and machine.persistence.log_state is LogState.OFF:
        raise NO_LOCAL_LOG
    return machine.replication.waits.wait_for_disks(session, wanted_local, wanted, timeout_ms)


@command(
    "FAILOVER",
    group="server",
    since="6.2.0",
    arity=-1,
    flags="admin noscript stale",
    args="[TO target:(host port:integer [FORCE])] [ABORT] [TIMEOUT milliseconds:integer]",
)
def failover(session: Session, args: list[bytes]) -> bytes:
    """Hands the place of the primary to a replica, without losing a write."""
    machine = session.machine
    replication = machine.replication
    if machine.config.cluster_enabled:
        raise CommandError(b"ERR FAILOVER not allowed in cluster mode.")
    if len(args) == 2 and args[1].lower() == b"abort":
        if replication.failover.state is FailoverState.NONE:
            raise CommandError(b"ERR No failover in progress.")
        replication.failover.abort("Failover manually aborted")
        return OK
    target: tuple[str, int] | None = None
    is_forced, timeout_ms = False, 0
    position = 1
    while position < len(args):
        word = args[position].lower()
        if word == b"to" and position + 2 < len(args) and target is None:
            port = required_integer(args[position + 2])
            target = (args[position + 1].decode("latin-1"), port)
            position += 3
        elif word == b"timeout" and position + 1 < len(args) and not timeout_ms:
            given = required_integer(args[position + 1])
            if given <= 0:
                raise CommandError(b"ERR FAILOVER timeout must be greater than 0")
            timeout_ms = given
            position += 2
        elif word == b"force" and not is_forced:
            is_forced = True
            position += 1
        else:
            raise SYNTAX
    _check_failover(session, target, is_forced, timeout_ms)
    replication.failover.begin(target, timeout_ms, is_forced)
    return OK


def _check_failover(
    session: Session, target: tuple[str, int] | None, is_forced: bool, timeout_ms: int
) -> None:
    replication = session.machine.replication
    if replication.failover.state is not FailoverState.NONE:
        raise CommandError(b"ERR FAILOVER already in progress.")
    if replication.is_replica:
        raise CommandError(b"ERR FAILOVER is not valid when server is a replica.")
    if not replication.peers:
        raise CommandError(b"ERR FAILOVER requires connected replicas.")
    if is_forced and (not timeout_ms or target is None):
        raise CommandError(
            b"ERR FAILOVER with force option requires both a timeout and target HOST and IP."
        )
    if target is not None and not any((peer.ip, peer.port) == target for peer in replication.peers):
        raise CommandError(b"ERR FAILOVER target HOST and PORT is not a replica.")
    if target is not None and not any(
        (peer.ip, peer.port) == target and peer.is_online for peer in replication.peers
    ):
        raise CommandError(b"ERR FAILOVER target replica is not online.")
