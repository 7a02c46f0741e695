"""COMMAND: the command table as clients read it, all of it computed from the declarations."""

from collections.abc import Iterable, Sequence

from ...slots.keyspec import (
    BeginIndex,
    BeginKeyword,
    FindKeyNumber,
    FindRange,
    InvalidKeySpecError,
    KeySpec,
    has_movable_keys,
    key_positions,
    legacy_range,
)
from ..argument_syntax import Argument, parse_arguments
from ..errors import SYNTAX, CommandError
from ..registry import CommandSpec, Flag, command, container, walk
from ..resp.encoder import Resp2, array, bulk, bulk_array, integer, simple
from ..session import Session
from ..values.glob import glob_match
from .help import help_reply

_FLAGS = "loading stale"
_CATEGORY = "connection"
_ORDERLESS = ("nondeterministic_output_order",)
_ACCESS_KINDS = frozenset({"RO", "RW", "OW", "RM"})


def _callable(session: Session) -> dict[str, CommandSpec]:
    """The declarations of all that clients of this node can call, by the names they call it."""
    names = session.machine.gate.names
    return {name.decode("latin-1"): command.spec for name, command in names.items()}


def _maybe_spec(session: Session, name: bytes) -> CommandSpec | None:
    """The declaration behind `get` or `client|list`, in any spelling."""
    parent, _, child = name.upper().partition(b"|")
    command = session.machine.gate.names.get(parent)
    if command is not None and child:
        command = command.subcommands.get(child)
    return None if command is None else command.spec


def _pairs(encoder: Resp2, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A map whose values are encoded already."""
    return encoder.map_header(len(pairs)) + b"".join(bulk(name) + value for name, value in pairs)


def _set_of(encoder: Resp2, members: Sequence[bytes]) -> bytes:
    """A set whose members are encoded already."""
    return encoder.set_header(len(members)) + b"".join(members)


def _set_of_status(encoder: Resp2, names: Sequence[str]) -> bytes:
    return _set_of(encoder, [simple(name.encode()) for name in names])


# --- COMMAND INFO
# ----------------------------------------------------------------------------------


def _key_flag(flag: str) -> str:
    return flag if flag in _ACCESS_KINDS else flag.lower()


def _begin(encoder: Resp2, spec: KeySpec) -> bytes:
    begin = spec.begin
    if isinstance(begin, BeginIndex):
        kind, fields = b"index", [(b"index", integer(begin.position))]
    elif isinstance(begin, BeginKeyword):
        kind = b"keyword"
        fields = [
            (b"keyword", bulk(begin.keyword.encode())),
            (b"startfrom", integer(begin.start_from)),
        ]
    else:
        kind, fields = b"unknown", []
    return _pairs(encoder, [(b"type", bulk(kind)), (b"spec", _pairs(encoder, fields))])


def _find(encoder: Resp2, spec: KeySpec) -> bytes:
    find = spec.find
    if isinstance(find, FindRange):
        kind = b"range"
        numbers = {b"lastkey": find.last_key, b"keystep": find.key_step, b"limit": find.limit}
    elif isinstance(find, FindKeyNumber):
        kind = b"keynum"
        numbers = {
            b"keynumidx": find.key_number_index,
            b"firstkey": find.first_key,
            b"keystep": find.key_step,
        }
    else:
        kind, numbers = b"unknown", {}
    fields = [(name, integer(number)) for name, number in numbers.items()]
    return _pairs(encoder, [(b"type", bulk(kind)), (b"spec", _pairs(encoder, fields))])


def _key_spec(encoder: Resp2, spec: KeySpec) -> bytes:
    pairs = [
        (b"flags", _set_of_status(encoder, [_key_flag(flag) for flag in spec.flags])),
        (b"begin_search", _begin(encoder, spec)),
        (b"find_keys", _find(encoder, spec)),
    ]
    if spec.notes:
        pairs.insert(0, (b"notes", bulk(spec.notes.encode())))
    return _pairs(encoder, pairs)


def describe(encoder: Resp2, spec: CommandSpec) -> bytes:
    """The ten fields of one command in COMMAND INFO."""
    first, last, step = legacy_range(spec.keys)
    flags = spec.flag_names()
    if has_movable_keys(spec.keys) and "movablekeys" not in flags:
        flags.append("movablekeys")
    return array(
        [
            bulk(spec.full_name.encode()),
            integer(spec.arity),
            _set_of_status(encoder, flags),
            integer(first),
            integer(last),
            integer(step),
            _set_of_status(encoder, [f"@{category}" for category in spec.categories]),
            _set_of(encoder, [bulk(tip.encode()) for tip in spec.tips]),
            _set_of(encoder, [_key_spec(encoder, keys) for keys in spec.keys]),
            # As on the real server: sub-commands are an array, and no sub-commands a set of none.
            array([describe(encoder, child) for child in spec.subcommands.values()])
            if spec.subcommands
            else encoder.set_header(0),
        ],
    )


def _describe_all(session: Session, args: list[bytes]) -> bytes:
    """Describes every command."""
    return array([describe(session.encoder, spec) for spec in _callable(session).values()])


container(
    "COMMAND",
    group="server",
    since="2.8.13",
    arity=-1,
    flags=_FLAGS,
    summary="Describes every command",
    function=_describe_all,
    complexity="O(N) in the number of commands",
    categories=_CATEGORY,
    tips=_ORDERLESS,
)


@command(
    "COMMAND COUNT",
    group="server",
    since="2.8.13",
    arity=2,
    flags=_FLAGS,
    categories=_CATEGORY,
)
def count(session: Session, args: list[bytes]) -> bytes:
    """Counts the commands."""
    return integer(len(session.machine.gate.names))


@command(
    "COMMAND INFO",
    group="server",
    since="2.8.13",
    arity=-2,
    flags=_FLAGS,
    args="[command-name...]",
    complexity="O(N) in the number of commands asked for",
    categories=_CATEGORY,
    tips=_ORDERLESS,
)
def info(session: Session, args: list[bytes]) -> bytes:
    """Describes some commands, or all."""
    if len(args) == 2:
        return _describe_all(session, args)
    encoder = session.encoder
    found = [_maybe_spec(session, name) for name in args[2:]]
    return array(
        [encoder.null_array if spec is None else describe(encoder, spec) for spec in found],
    )


# --- COMMAND DOCS
# ----------------------------------------------------------------------------------


def _argument(encoder: Resp2, argument: Argument, key_index: list[int]) -> bytes:
    pairs = [
        (b"name", bulk(argument.name.encode())),
        (b"type", bulk(argument.type.value.encode())),
    ]
    if argument.type.value == "key":
        pairs.append((b"key_spec_index", integer(key_index[0])))
        key_index[0] += 1
    if argument.token is not None:
        pairs.append((b"token", bulk(argument.token.encode())))
    flags = [
        name
        for name, is_set in (
            ("optional", argument.is_optional),
            ("multiple", argument.is_multiple),
            ("multiple_token", argument.is_multiple_token),
        )
        if is_set
    ]
    if flags:
        pairs.append((b"flags", _set_of_status(encoder, flags)))
    if argument.arguments:
        children = [_argument(encoder, child, key_index) for child in argument.arguments]
        pairs.append((b"arguments", array(children)))
    return _pairs(encoder, pairs)


def _docs(encoder: Resp2, spec: CommandSpec) -> bytes:
    pairs = [
        (b"summary", bulk(spec.summary.encode())),
        (b"since", bulk(spec.since.encode())),
        (b"group", bulk(spec.group.encode())),
        (b"complexity", bulk(spec.complexity.encode())),
    ]
    if spec.deprecated is not None:
        since, instead = spec.deprecated
        pairs += [
            (b"doc_flags", _set_of_status(encoder, ["deprecated"])),
            (b"deprecated_since", bulk(since.encode())),
            (b"replaced_by", bulk(instead.encode())),
        ]
    if spec.args:
        key_index = [0]
        arguments = [_argument(encoder, each, key_index) for each in parse_arguments(spec.args)]
        pairs.append((b"arguments", array(arguments)))
    if spec.subcommands:
        children = [
            (child.full_name.encode(), _docs(encoder, child)) for child in spec.subcommands.values()
        ]
        pairs.append((b"subcommands", _pairs(encoder, children)))
    return _pairs(encoder, pairs)


@command(
    "COMMAND DOCS",
    group="server",
    since="7.0.0",
    arity=-2,
    flags=_FLAGS,
    args="[command-name...]",
    complexity="O(N) in the number of commands asked for",
    categories=_CATEGORY,
    tips=_ORDERLESS,
)
def docs(session: Session, args: list[bytes]) -> bytes:
    """Documents some commands, or all: what they do and which arguments they take."""
    found: Iterable[CommandSpec | None] = _callable(session).values()
    if len(args) > 2:
        found = [_maybe_spec(session, name) for name in args[2:]]
    encoder = session.encoder
    return _pairs(
        encoder,
        [(spec.full_name.encode(), _docs(encoder, spec)) for spec in found if spec is not None],
    )


# --- COMMAND LIST
# ----------------------------------------------------------------------------------


@command(
    "COMMAND LIST",
    group="server",
    since="7.0.0",
    arity=-2,
    flags=_FLAGS,
    args="[FILTERBY (MODULE module-name|ACLCAT category|PATTERN pattern)]",
    complexity="O(N) in the number of commands",
    categories=_CATEGORY,
    tips=_ORDERLESS,
)
def list_(session: Session, args: list[bytes]) -> bytes:
    """Lists the names of all commands, or of those that a filter lets through."""
    if len(args) == 2:
        return bulk_array([spec.full_name.encode() for spec in _callable(session).values()])
    if len(args) != 5 or args[2].upper() != b"FILTERBY":
        raise SYNTAX
    wanted = args[4]
    match args[3].upper():
        case b"MODULE":
            found: list[CommandSpec] = []
        case b"ACLCAT":
            category = wanted.decode("latin-1").lower()
            found = [spec for spec in walk(_callable(session)) if category in spec.categories]
        case b"PATTERN":
            found = [
                spec
                for spec in walk(_callable(session))
                if glob_match(wanted, spec.full_name.encode(), ignore_case=True)
            ]
        case _:
            raise SYNTAX
    return bulk_array([spec.full_name.encode() for spec in found])


# --- COMMAND GETKEYS
# -------------------------------------------------------------------------------


def _keys_of(
    session: Session, request: list[bytes]
) -> tuple[CommandSpec, list[tuple[int, KeySpec]]]:
    """The command of a request and where its keys stand, or the reason why there are none."""
    spec = _maybe_spec(session, request[0])
    if spec is not None and spec.subcommands and len(request) > 1:
        spec = spec.subcommands.get(request[1].decode("latin-1").upper())
    if spec is None:
        raise CommandError(b"ERR Invalid command specified")
    if all(keys.has_flag("NOT_KEY") for keys in spec.keys):
        raise CommandError(b"ERR The command has no key arguments")
    if not spec.accepts(len(request)):
        raise CommandError(b"ERR Invalid number of arguments specified for command")
    try:
        found = key_positions(spec.keys, request)
    except InvalidKeySpecError:
        found = []
    if not found and Flag.NO_MANDATORY_KEYS not in spec.flags:
        raise CommandError(b"ERR Invalid arguments specified for command")
    return spec, found


@command(
    "COMMAND GETKEYS",
    group="server",
    since="2.8.13",
    arity=-4,
    flags=_FLAGS,
    args="command [arg...]",
    complexity="O(N) in the number of arguments",
    categories=_CATEGORY,
)
def get_keys(session: Session, args: list[bytes]) -> bytes:
    """Picks the keys out of a whole command line."""
    request = args[2:]
    _, found = _keys_of(session, request)
    return bulk_array([request[position] for position, _ in found])


def _effective_flags(spec: CommandSpec, request: list[bytes], keys: KeySpec) -> list[str]:
    """What is done to a key; for a few commands that depends on their options."""
    upper = [word.upper() for word in request[2:]]
    if spec.full_name == "set" and b"GET" not in upper[1:]:
        return ["OW", "update"]
    if spec.full_name == "bitfield" and not {b"SET", b"INCRBY"} & set(upper):
        return ["RO", "access"]
    return [_key_flag(flag) for flag in keys.flags if flag.lower() != "variable_flags"] + [
        "variable_flags" for flag in keys.flags if flag.lower() == "variable_flags"
    ]


@command(
    "COMMAND GETKEYSANDFLAGS",
    group="server",
    since="7.0.0",
    arity=-4,
    flags=_FLAGS,
    args="command [arg...]",
    complexity="O(N) in the number of arguments",
    categories=_CATEGORY,
)
def get_keys_and_flags(session: Session, args: list[bytes]) -> bytes:
    """Picks the keys out of a whole command line and tells what is done to each."""
    request = args[2:]
    spec, found = _keys_of(session, request)
    return array(
        [
            array(
                [
                    bulk(request[position]),
                    _set_of_status(session.encoder, _effective_flags(spec, request, keys)),
                ],
            )
            for position, keys in found
        ],
    )


@command(
    "COMMAND HELP",
    group="server",
    since="5.0.0",
    arity=2,
    flags=_FLAGS,
    categories=_CATEGORY,
)
def help_(session: Session, args: list[bytes]) -> bytes:
    """Explains the sub-commands."""
    return help_reply("COMMAND")
