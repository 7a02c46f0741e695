"""SUBSCRIBE and its kin, PUBLISH, and PUBSUB, which looks at who listens.

Confirmations are sent even to a client that wants to hear no replies, and inside EXEC they stand
where the reply of the command would. In a cluster PUBLISH goes to every node and SPUBLISH to the
nodes of the shard; elsewhere both are handed to replicas like a change.
"""

from ...gossip.commands import PublishToNodes
from ...slots.keyspec import key_range, one_key
from ..errors import CommandError, unknown_form
from ..pubsub import Register
from ..registry import command, container
from ..resp.encoder import bulk, bulk_array, integer
from ..session import ReplyMode, Session
from ..values.glob import compile_glob
from .help import help_reply

_LISTENING = "pubsub noscript loading stale"
_LOOKING = "pubsub loading stale"


def _told(session: Session, confirmations: bytes) -> bytes:
    """Confirmations are no replies: CLIENT REPLY does not keep them back."""
    if session.reply_mode is ReplyMode.ON:
        return confirmations
    session.push(confirmations)
    return b""


def _refuse_where_nobody_can_wait(session: Session, name: bytes, *, queued_too: bool) -> None:
    """A script cannot listen, and a transaction only in the ways that it always could."""
    if not session.may_block and (queued_too or "lua" in session.flags):
        raise CommandError(b"ERR %b isn't allowed for a DENY BLOCKING client" % name)


@command(
    "SUBSCRIBE",
    group="pubsub",
    since="2.0.0",
    arity=-2,
    flags=_LISTENING,
    args="channel...",
    complexity="O(N) in the number of channels",
)
def subscribe(session: Session, args: list[bytes]) -> bytes:
    """Listens to channels."""
    _refuse_where_nobody_can_wait(session, b"SUBSCRIBE", queued_too=False)
    pubsub = session.machine.pubsub
    return _told(session, pubsub.subscribe(session, pubsub.channels, args[1:]))


@command(
    "UNSUBSCRIBE",
    group="pubsub",
    since="2.0.0",
    arity=-1,
    flags=_LISTENING,
    args="[channel...]",
    complexity="O(N) in the number of channels",
)
def unsubscribe(session: Session, args: list[bytes]) -> bytes:
    """Listens no more to these channels, or to any."""
    pubsub = session.machine.pubsub
    return _told(session, pubsub.unsubscribe(session, pubsub.channels, args[1:]))


@command(
    "PSUBSCRIBE",
    group="pubsub",
    since="2.0.0",
    arity=-2,
    flags=_LISTENING,
    args="pattern...",
    complexity="O(N) in the number of patterns",
)
def psubscribe(session: Session, args: list[bytes]) -> bytes:
    """Listens to all channels that match one of the patterns."""
    _refuse_where_nobody_can_wait(session, b"PSUBSCRIBE", queued_too=False)
    pubsub = session.machine.pubsub
    return _told(session, pubsub.subscribe(session, pubsub.patterns, args[1:]))


@command(
    "PUNSUBSCRIBE",
    group="pubsub",
    since="2.0.0",
    arity=-1,
    flags=_LISTENING,
    args="[pattern...]",
    complexity="O(N) in the number of patterns",
)
def punsubscribe(session: Session, args: list[bytes]) -> bytes:
    """Gives up these patterns, or all."""
    pubsub = session.machine.pubsub
    return _told(session, pubsub.unsubscribe(session, pubsub.patterns, args[1:]))


@command(
    "SSUBSCRIBE",
    group="pubsub",
    since="7.0.0",
    arity=-2,
    flags=_LISTENING,
    keys=(key_range(1, "NOT_KEY"),),
    args="shardchannel...",
    complexity="O(N) in the number of channels",
)
def ssubscribe(session: Session, args: list[bytes]) -> bytes:
    """Listens to channels of this shard."""
    _refuse_where_nobody_can_wait(session, b"SSUBSCRIBE", queued_too=True)
    pubsub = session.machine.pubsub
    return _told(session, pubsub.subscribe(session, pubsub.shard_channels, args[1:]))


@command(
    "SUNSUBSCRIBE",
    group="pubsub",
    since="7.0.0",
    arity=-1,
    flags=_LISTENING,
    keys=(key_range(1, "NOT_KEY"),),
    args="[shardchannel...]",
    complexity="O(N) in the number of channels",
)
def sunsubscribe(session: Session, args: list[bytes]) -> bytes:
    """Listens no more to these channels of the shard, or to any."""
    pubsub = session.machine.pubsub
    return _told(session, pubsub.unsubscribe(session, pubsub.shard_channels, args[1:]))


# --- publishing
# ------------------------------------------------------------------------------------


def _pass_on(session: Session, args: list[bytes], *, is_sharded: bool) -> None:
    """Let listeners of other nodes hear it, too."""
    machine = session.machine
    if machine.cluster is not None:
        machine.cluster.command(PublishToNodes(args[1], args[2], is_sharded))
    else:
        machine.keyspace.effects.propagate_instead(session.db.index, args)


@command(
    "PUBLISH",
    group="pubsub",
    since="2.0.0",
    arity=3,
    flags="pubsub loading stale fast",
    args="channel message",
    complexity="O(N+M) in the listeners of the channel and the patterns of all clients",
)
def publish(session: Session, args: list[bytes]) -> bytes:
    """Sends a message to everybody who listens to a channel."""
    count = session.machine.pubsub.publish(args[1], args[2])
    _pass_on(session, args, is_sharded=False)
    return integer(count)


@command(
    "SPUBLISH",
    group="pubsub",
    since="7.0.0",
    arity=3,
    flags="pubsub loading stale fast",
    keys=(one_key(1, "NOT_KEY"),),
    args="shardchannel message",
    complexity="O(N) in the listeners of the channel",
)
def spublish(session: Session, args: list[bytes]) -> bytes:
    """Sends a message to everybody who listens to a channel of the shard."""
    count = session.machine.pubsub.publish_shard(args[1], args[2])
    _pass_on(session, args, is_sharded=True)
    return integer(count)


# --- PUBSUB
# ----------------------------------------------------------------------------------------

container("PUBSUB", group="pubsub", since="2.8.0", summary="Tells who listens.")


def _names(register: Register, args: list[bytes]) -> bytes:
    """What somebody listens to, maybe only what matches a pattern."""
    if len(args) > 3:
        raise unknown_form("PUBSUB", args[1])
    names = register.listeners
    if len(args) == 3:
        matches = compile_glob(args[2])
        return bulk_array([name for name in names if matches(name)])
    return bulk_array(list(names))


def _counts(register: Register, names: list[bytes]) -> bytes:
    """How many sessions listen to each name."""
    pairs = [bulk(name) + integer(len(register.listeners.get(name, ()))) for name in names]
    return b"*%d\r\n%b" % (2 * len(pairs), b"".join(pairs))


@command(
    "PUBSUB CHANNELS",
    group="pubsub",
    since="2.8.0",
    arity=-2,
    flags=_LOOKING,
    args="[pattern]",
    complexity="O(N) in the number of channels",
)
def channels(session: Session, args: list[bytes]) -> bytes:
    """Lists the channels that somebody listens to."""
    return _names(session.machine.pubsub.channels, args)


@command(
    "PUBSUB SHARDCHANNELS",
    group="pubsub",
    since="7.0.0",
    arity=-2,
    flags=_LOOKING,
    args="[pattern]",
    complexity="O(N) in the number of channels",
)
def shard_channels(session: Session, args: list[bytes]) -> bytes:
    """Lists the shard channels that somebody listens to."""
    return _names(session.machine.pubsub.shard_channels, args)


@command(
    "PUBSUB NUMSUB",
    group="pubsub",
    since="2.8.0",
    arity=-2,
    flags=_LOOKING,
    args="[channel...]",
    complexity="O(N) in the number of channels",
)
def numsub(session: Session, args: list[bytes]) -> bytes:
    """Counts the listeners of channels, those by pattern left out."""
    return _counts(session.machine.pubsub.channels, args[2:])


@command(
    "PUBSUB SHARDNUMSUB",
    group="pubsub",
    since="7.0.0",
    arity=-2,
    flags=_LOOKING,
    args="[shardchannel...]",
    complexity="O(N) in the number of channels",
)
def shard_numsub(session: Session, args: list[bytes]) -> bytes:
    """Counts the listeners of shard channels."""
    return _counts(session.machine.pubsub.shard_channels, args[2:])


@command("PUBSUB NUMPAT", group="pubsub", since="2.8.0", arity=2, flags=_LOOKING)
def numpat(session: Session, args: list[bytes]) -> bytes:
    """Counts the different patterns that somebody listens to."""
    return integer(len(session.machine.pubsub.patterns.listeners))


@command("PUBSUB HELP", group="pubsub", since="6.2.0", arity=2, flags="loading stale")
def help_(session: Session, args: list[bytes]) -> bytes:
    """Explains the sub-commands."""
    return help_reply("PUBSUB")
