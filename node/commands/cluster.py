"""CLUSTER: the members of the cluster and their roles; and the commands for a client's mode."""

from typing import Final

from ...gossip import commands as ask
from ..config.syntax import text_from
from ..errors import SYNTAX, CommandError, unknown_form, wrong_arity
from ..registry import command, container
from ..resp.encoder import OK
from ..session import Session
from ..values.numbers import parse_integer
from .arguments import required_integer
from .cluster_brain import CHANGE, VARYING, carry_out, cluster_of, node_id_from
from .help import help_reply

_PORT_MAX: Final = 65_535

container("CLUSTER", group="cluster", since="3.0.0", summary="Looks after the cluster.")


@command(
    "CLUSTER MEET",
    group="cluster",
    since="3.0.0",
    arity=-4,
    flags=CHANGE,
    args="ip port:integer [cluster-bus-port:integer]",
)
def meet(session: Session, args: list[bytes]) -> bytes:
    """Gets to know another node, and joins its cluster."""
    cluster_of(session)
    if len(args) > 5:
        raise wrong_arity("cluster|meet")
    port = parse_integer(args[3])
    if port is None:
        raise CommandError(b"ERR Invalid base port specified: %b" % args[3])
    bus_port = port + 10_000
    if len(args) == 5:
        given = parse_integer(args[4])
        if given is None:
            raise CommandError(b"ERR Invalid bus port specified: %b" % args[4])
        bus_port = given
    if not (0 < port <= _PORT_MAX and 0 < bus_port <= _PORT_MAX):
        raise CommandError(
            b"ERR Invalid node address specified: %b:%b" % (args[2], args[3]),
        )
    return carry_out(session, ask.MeetNode(text_from(args[2]), port, bus_port))


@command(
    "CLUSTER FORGET",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=CHANGE,
    args="node-id",
)
def forget(session: Session, args: list[bytes]) -> bytes:
    """Removes a node from this node's view, and keeps it out for a minute."""
    return carry_out(session, ask.ForgetNode(node_id_from(args[2])))


@command(
    "CLUSTER REPLICATE",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=CHANGE,
    args="node-id",
)
def replicate(session: Session, args: list[bytes]) -> bytes:
    """Makes this node a replica of a primary."""
    return carry_out(session, ask.Replicate(node_id_from(args[2])))


@command(
    "CLUSTER FAILOVER",
    group="cluster",
    since="3.0.0",
    arity=-2,
    flags=CHANGE,
    args="[FORCE|TAKEOVER]",
)
def failover(session: Session, args: list[bytes]) -> bytes:
    """Lets this replica take its primary's place."""
    cluster_of(session)
    if len(args) > 3:
        raise unknown_form("CLUSTER", args[1])
    mode = args[2].upper() if len(args) == 3 else b""
    if mode not in (b"", b"FORCE", b"TAKEOVER"):
        raise SYNTAX
    request = ask.Failover(force=mode != b"", takeover=mode == b"TAKEOVER")
    return carry_out(session, request)


@command(
    "CLUSTER RESET",
    group="cluster",
    since="3.0.0",
    arity=-2,
    flags="admin noscript stale",
    args="[HARD|SOFT]",
    complexity="O(N) in the number of nodes",
)
def reset(session: Session, args: list[bytes]) -> bytes:
    """Makes this node a new one that knows nobody."""
    cluster_of(session)
    if len(args) > 3:
        raise unknown_form("CLUSTER", args[1])
    mode = args[2].upper() if len(args) == 3 else b"SOFT"
    if mode not in (b"HARD", b"SOFT"):
        raise SYNTAX
    return carry_out(session, ask.Reset(hard=mode == b"HARD"))


@command("CLUSTER BUMPEPOCH", group="cluster", since="3.0.0", arity=2, flags=CHANGE, tips=VARYING)
def bump_epoch(session: Session, args: list[bytes]) -> bytes:
    """Gives this node the greatest epoch, without asking anybody."""
    return carry_out(session, ask.BumpEpoch())


@command(
    "CLUSTER SET-CONFIG-EPOCH",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags=CHANGE,
    args="config-epoch:integer",
)
def set_config_epoch(session: Session, args: list[bytes]) -> bytes:
    """Gives a new node its epoch."""
    cluster_of(session)
    epoch = required_integer(args[2])
    return carry_out(session, ask.SetConfigEpoch(epoch))


@command("CLUSTER SAVECONFIG", group="cluster", since="3.0.0", arity=2, flags=CHANGE)
def save_config(session: Session, args: list[bytes]) -> bytes:
    """Writes nodes.conf."""
    return carry_out(session, ask.SaveConfig())


@command("CLUSTER HELP", group="cluster", since="5.0.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Explains the sub-commands."""
    return help_reply("CLUSTER")


# --- the client's mode
# -----------------------------------------------------------------------------


@command(
    "ASKING",
    group="cluster",
    since="3.0.0",
    arity=1,
    flags="fast",
    categories="connection",
)
def asking(session: Session, args: list[bytes]) -> bytes:
    """Lets the next request into a slot that is just moving in."""
    cluster_of(session)
    session.asking = True
    return OK


@command(
    "READONLY",
    group="cluster",
    since="3.0.0",
    arity=1,
    flags="loading stale fast",
    categories="connection",
)
def readonly(session: Session, args: list[bytes]) -> bytes:
    """Lets this client read from a replica."""
    cluster_of(session)
    session.readonly = True
    return OK


@command(
    "READWRITE",
    group="cluster",
    since="3.0.0",
    arity=1,
    flags="loading stale fast",
    categories="connection",
)
def readwrite(session: Session, args: list[bytes]) -> bytes:
    """Sends this client's reads to the primary again."""
    cluster_of(session)
    session.readonly = False
    return OK
