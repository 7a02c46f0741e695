"""The command table: each command is declared once, beside its function.

    @command("GETSET", group="string", since="1.0.0", arity=3, flags="write denyoom fast",
             keys=(one_key(1, "RW", "ACCESS", "UPDATE"),), args="key value", complexity="O(1)")
    def getset(session, args): ...

From these declarations come dispatch, arity errors, `COMMAND` and its sub-commands, ACL categories,
cluster routing, MULTI checks and the tables in the documentation. Declaring happens at import time
and leaves immutable `CommandSpec` values; a node makes its own `Command` objects of them, with
counters.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import IntFlag, auto
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from ..slots.keyspec import KeySpec, compile_key_finder
from .resp.alike import Requests

if TYPE_CHECKING:
    from .batches import Replies
    from .session import Session

#: A command gets the session and the whole request, its own name included. It returns finished
#: reply bytes; `b""` means that no reply is due now (blocked, or the reply was taken care of).
CommandFunction = Callable[["Session", list[bytes]], bytes]

#: Takes a whole pipeline of this one command and returns all replies, or None before anything was
#: done when some request in it is out of the ordinary; each request then runs by itself.
BatchFunction = Callable[["Session", Requests], "Replies[Any] | None"]


class Flag(IntFlag):
    """What the gate and the clients must know of a command; the names are those of COMMAND INFO."""

    WRITE = auto()
    READONLY = auto()
    DENYOOM = auto()
    ADMIN = auto()
    PUBSUB = auto()
    NOSCRIPT = auto()
    BLOCKING = auto()
    LOADING = auto()
    STALE = auto()
    SKIP_MONITOR = auto()
    SKIP_SLOWLOG = auto()
    ASKING = auto()
    FAST = auto()
    NO_AUTH = auto()
    MAY_REPLICATE = auto()
    NO_MANDATORY_KEYS = auto()
    PROTECTED = auto()
    NO_ASYNC_LOADING = auto()
    NO_MULTI = auto()
    ALLOW_BUSY = auto()
    MOVABLEKEYS = auto()
    TOUCHES_ARBITRARY_KEYS = auto()


_FLAG_BY_NAME: Final = {flag.name.lower(): flag for flag in Flag if flag.name}

#: Categories that a group brings with it; the others follow from the flags.
_GROUP_CATEGORIES: Final = {
    "generic": ("keyspace",),
    "string": ("string",),
    "list": ("list",),
    "set": ("set",),
    "sorted-set": ("sortedset",),
    "hash": ("hash",),
    "stream": ("stream",),
    "geo": ("geo",),
    "bitmap": ("bitmap",),
    "hyperloglog": ("hyperloglog",),
    "connection": ("connection",),
    "transactions": ("transaction",),
    "scripting": ("scripting",),
    "pubsub": (),
    "server": (),
    "cluster": (),
}

#: Every ACL category, in the order of ACL CAT.
ACL_CATEGORIES: Final = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)


def parse_flags(names: str) -> Flag:
    """Flags from their names, divided by blanks."""
    flags = Flag(0)
    for name in names.split():
        flags |= _FLAG_BY_NAME[name]
    return flags


@frozen
class CommandSpec:
    """One declared command or sub-command."""

    name: str
    parent: str | None
    group: str
    since: str
    arity: int
    flags: Flag
    keys: tuple[KeySpec, ...]
    args: str
    complexity: str
    summary: str
    tips: tuple[str, ...]
    categories: tuple[str, ...]
    function: CommandFunction
    #: Since when it is deprecated, and what to use instead; empty for most.
    deprecated: tuple[str, str] | None
    batch: BatchFunction | None
    subcommands: dict[str, "CommandSpec"] = field(factory=dict, eq=False, hash=False)

    @property
    def full_name(self) -> str:
        """`get`, or `client|list` for a sub-command: as errors, statistics and ACL have it."""
        own = self.name.lower()
        return f"{self.parent.lower()}|{own}" if self.parent else own

    def accepts(self, count: int) -> bool:
        """Whether a request of `count` words, names included, has the right length."""
        return count == self.arity if self.arity >= 0 else count >= -self.arity

    def flag_names(self) -> list[str]:
        """The flags as COMMAND INFO shows them."""
        shown = self.flags & ~(Flag.PROTECTED | Flag.TOUCHES_ARBITRARY_KEYS | Flag.MAY_REPLICATE)
        return [name for name, flag in _FLAG_BY_NAME.items() if flag in shown]


_DECLARED: dict[str, CommandSpec] = {}


def _categories(group: str, flags: Flag, extra: str, *, bare: bool) -> tuple[str, ...]:
    names = {*extra.split()} if bare else {*_GROUP_CATEGORIES[group], *extra.split()}
    if Flag.WRITE in flags:
        names.add("write")
    if Flag.READONLY in flags and "scripting" not in names:
        names.add("read")
    if Flag.ADMIN in flags:
        names |= {"admin", "dangerous"}
    if Flag.PUBSUB in flags:
        names.add("pubsub")
    if Flag.BLOCKING in flags:
        names.add("blocking")
    names.add("fast" if Flag.FAST in flags else "slow")
    unknown = names.difference(ACL_CATEGORIES)
    assert not unknown, unknown
    return tuple(category for category in ACL_CATEGORIES if category in names)


def command(
    name: str,
    *,
    group: str,
    since: str,
    arity: int,
    flags: str = "",
    keys: Sequence[KeySpec] = (),
    args: str = "",
    complexity: str = "O(1)",
    tips: Sequence[str] = (),
    categories: str = "",
    deprecated: tuple[str, str] | None = None,
    batch: BatchFunction | None = None,
    bare: bool = False,
) -> Callable[[CommandFunction], CommandFunction]:
    """Declare the decorated function as a command; its docstring's first line is the summary.

    `name` is `"GET"`, or `"CLIENT LIST"` for a sub-command, whose container must be declared
    before. `args` is the syntax in the small language of `argument_syntax`, read only when somebody
    asks, since every start would pay for it. `categories` names ACL categories beyond those that
    the group and the flags imply; a `bare` command has none from its group.
    """

    def declare(function: CommandFunction) -> CommandFunction:
        assert function.__doc__, f"{name} needs a docstring"
        own_flags = parse_flags(flags)
        parent, _, child = name.rpartition(" ")
        spec = CommandSpec(
            name=child,
            parent=parent or None,
            group=group,
            since=since,
            arity=arity,
            flags=own_flags,
            keys=tuple(keys),
            args=args,
            complexity=complexity,
            summary=function.__doc__.strip().splitlines()[0].rstrip("."),
            tips=tuple(tips),
            categories=_categories(group, own_flags, categories, bare=bare),
            function=function,
            deprecated=deprecated,
            batch=batch,
        )
        siblings = _DECLARED[parent].subcommands if parent else _DECLARED
        assert child not in siblings, f"{name} is declared twice"
        siblings[child] = spec
        return function

    return declare


def container(
    name: str,
    *,
    group: str,
    since: str,
    arity: int = -2,
    summary: str,
    function: CommandFunction | None = None,
    flags: str = "",
    complexity: str = "That of the sub-command",
    categories: str = "",
    tips: Sequence[str] = (),
) -> None:
    """Declare a command that only holds sub-commands (or, with `function`, also stands alone)."""

    def impossible(session: "Session", args: list[bytes]) -> bytes:
        raise AssertionError(f"{name} was dispatched without its sub-command")

    chosen = function or impossible
    chosen.__doc__ = chosen.__doc__ or summary
    declare = command(
        name,
        group=group,
        since=since,
        arity=arity,
        flags=flags,
        complexity=complexity,
        categories=categories,
        bare=function is None,
        tips=tips,
    )
    declare(chosen)


def declared() -> dict[str, CommandSpec]:
    """Every declared top-level command by upper-case name; importing the families fills it."""
    from . import commands

    commands.load_families()
    return _DECLARED


def walk(specs: dict[str, CommandSpec]) -> Iterator[CommandSpec]:
    """All commands and sub-commands."""
    for spec in specs.values():
        yield spec
        yield from spec.subcommands.values()


@define(eq=False)
class Statistics:
    """What one node counted for one command."""

    nanoseconds: int = 0
    rejected: int = 0
    failed: int = 0
    #: Calls by the power of two of their microseconds, for LATENCY HISTOGRAM.
    histogram: list[int] = field(factory=lambda: [0] * 40)

    @property
    def calls(self) -> int:
        """How often the command ran."""
        return sum(self.histogram)

    def count_run(self, nanoseconds: int, calls: int) -> None:
        """Book a run of `calls` calls that took `nanoseconds` together."""
        self.nanoseconds += nanoseconds
        self.histogram[(nanoseconds // calls // 1000).bit_length()] += calls


class Command:
    """One command of one node: the declaration, unpacked for the hot path, and the counters."""

    __slots__ = (
        "batch",
        "flags",
        "full_name",
        "function",
        "high",
        "keys_of",
        "low",
        "spec",
        "statistics",
        "subcommands",
    )

    def __init__(self, spec: CommandSpec) -> None:
        self.spec = spec
        self.full_name = spec.full_name
        self.flags = spec.flags
        self.low = abs(spec.arity)
        self.high = spec.arity if spec.arity >= 0 else 1 << 31
        self.function = spec.function
        self.batch = spec.batch
        #: args -> the keys in them; None for commands that have no keys.
        self.keys_of = compile_key_finder(spec.keys) if spec.keys else None
        self.statistics = Statistics()
        self.subcommands = {
            name.encode(): Command(child) for name, child in spec.subcommands.items()
        }


def build_commands() -> dict[bytes, Command]:
    """Fresh `Command` objects for one node, by upper-case name."""
    return {name.encode(): Command(spec) for name, spec in declared().items()}
