"""FUNCTION and its sub-commands, FCALL and FCALL_RO."""

from ...slots.keyspec import keynum
from ..errors import CommandError, as_c_string, unknown_form
from ..registry import command, container
from ..resp.encoder import OK, array, bulk, integer
from ..scripting.functions import ENGINE, Function, Library
from ..scripting.rules import FLAG_NAMES, check_start
from ..session import Session
from ..values.glob import glob_match
from ..values.numbers import parse_integer
from .help import help_reply

_CALL_FLAGS = "noscript skip_monitor stale no_mandatory_keys"
_CALL_ARGS = "function numkeys [key...] [arg...]"
_COST = "That of the function"
_ALL_SHARDS = ("request_policy:all_shards", "response_policy:all_succeeded")


def _call(session: Session, args: list[bytes], *, read_only: bool) -> bytes:
    functions = session.machine.functions
    function = functions.maybe_find(args[1])
    if function is None:
        raise CommandError(b"ERR Function not found")
    keys_count = parse_integer(args[2])
    if keys_count is None:
        raise CommandError(b"ERR Bad number of keys provided")
    if keys_count > len(args) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if keys_count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    check_start(session, function.declaration, read_only=read_only)
    return functions.interpreter.run(
        session,
        function.callback,
        function.name,
        args,
        keys_count,
        function.read_only_rules if read_only else function.rules,
    )


@command(
    "FCALL",
    group="scripting",
    since="7.0.0",
    arity=-3,
    flags=_CALL_FLAGS + " may_replicate",
    keys=(keynum(2, "RW", "ACCESS", "UPDATE"),),
    args=_CALL_ARGS,
    complexity=_COST,
)
def fcall(session: Session, args: list[bytes]) -> bytes:
    """Runs a function."""
    return _call(session, args, read_only=False)


@command(
    "FCALL_RO",
    group="scripting",
    since="7.0.0",
    arity=-3,
    flags=_CALL_FLAGS + " readonly",
    keys=(keynum(2, "RO", "ACCESS"),),
    args=_CALL_ARGS,
    complexity=_COST,
)
def fcall_ro(session: Session, args: list[bytes]) -> bytes:
    """Runs a function that may not write."""
    return _call(session, args, read_only=True)


container(
    "FUNCTION", group="scripting", since="7.0.0", summary="Looks after libraries of functions."
)


@command(
    "FUNCTION LOAD",
    group="scripting",
    since="7.0.0",
    arity=-3,
    flags="write denyoom noscript",
    args="[REPLACE] function-code",
    complexity="O(1) besides running the library's code once",
    tips=_ALL_SHARDS,
)
def function_load(session: Session, args: list[bytes]) -> bytes:
    """Adds a library, or replaces it."""
    machine = session.machine
    for word in args[2:-1]:
        if word.upper() != b"REPLACE":
            raise CommandError(b"ERR Unknown option given: " + as_c_string(word).rstrip(b"\r\n"))
    # What was loaded elsewhere must load here, too, however long it takes.
    name = machine.functions.load(
        args[-1], replace=len(args) > 3, is_limited=not machine.clock.is_replaying
    )
    machine.keyspace.effects.dirty += 1
    return bulk(name)


@command(
    "FUNCTION DELETE",
    group="scripting",
    since="7.0.0",
    arity=3,
    flags="write noscript",
    args="library-name",
    tips=_ALL_SHARDS,
)
def function_delete(session: Session, args: list[bytes]) -> bytes:
    """Removes a library and its functions."""
    machine = session.machine
    if not machine.functions.delete(args[2]):
        raise CommandError(b"ERR Library not found")
    machine.keyspace.effects.dirty += 1
    return OK


@command(
    "FUNCTION FLUSH",
    group="scripting",
    since="7.0.0",
    arity=-2,
    flags="write noscript",
    args="[ASYNC|SYNC]",
    complexity="O(N) in the number of functions",
    tips=_ALL_SHARDS,
)
def function_flush(session: Session, args: list[bytes]) -> bytes:
    """Removes all libraries."""
    if len(args) > 3:
        raise unknown_form("FUNCTION", args[1])
    if len(args) == 3 and args[2].upper() not in (b"ASYNC", b"SYNC"):
        raise CommandError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    machine = session.machine
    machine.functions.clear()
    machine.keyspace.effects.dirty += 1
    return OK


@command(
    "FUNCTION DUMP",
    group="scripting",
    since="7.0.0",
    arity=2,
    flags="noscript",
    complexity="O(N) in the number of functions",
)
def function_dump(session: Session, args: list[bytes]) -> bytes:
    """Returns all libraries in a form that FUNCTION RESTORE takes."""
    return bulk(session.machine.functions.dump())


@command(
    "FUNCTION RESTORE",
    group="scripting",
    since="7.0.0",
    arity=-3,
    flags="write denyoom noscript",
    args="serialized-value [FLUSH|APPEND|REPLACE]",
    complexity="O(N) in the number of functions in the payload",
    tips=_ALL_SHARDS,
)
def function_restore(session: Session, args: list[bytes]) -> bytes:
    """Takes libraries that FUNCTION DUMP returned."""
    if len(args) > 4:
        raise unknown_form("FUNCTION", args[1])
    policy = args[3].upper() if len(args) == 4 else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise CommandError(
            b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    machine = session.machine
    functions = machine.functions
    restored = functions.read_untrusted(args[2])
    if policy == b"FLUSH":
        functions.become(restored)
    else:
        functions.join(restored, replace=policy == b"REPLACE")
    machine.keyspace.effects.dirty += 1
    return OK


@command(
    "FUNCTION LIST",
    group="scripting",
    since="7.0.0",
    arity=-2,
    flags="noscript",
    args="[LIBRARYNAME library-name-pattern:string] [WITHCODE]",
    complexity="O(N) in the number of functions",
    tips=("nondeterministic_output_order",),
)
def function_list(session: Session, args: list[bytes]) -> bytes:
    """Describes the libraries."""
    pattern: bytes | None = None
    with_code = False
    words = iter(args[2:])
    for word in words:
        option = word.upper()
        if option == b"WITHCODE" and not with_code:
            with_code = True
        elif option == b"LIBRARYNAME" and pattern is None:
            pattern = next(words, None)
            if pattern is None:
                raise CommandError(b"ERR library name argument was not given")
        else:
            raise CommandError(b"ERR Unknown argument " + as_c_string(word))
    return array(
        [
            _described(session, library, with_code)
            for library in session.machine.functions.libraries.values()
            if pattern is None or glob_match(pattern, library.name, ignore_case=True)
        ]
    )


def _map(session: Session, pairs: list[tuple[bytes, bytes]]) -> bytes:
    return session.encoder.map_header(len(pairs)) + b"".join(map(b"".join, pairs))


def _described(session: Session, library: Library, with_code: bool) -> bytes:
    functions = [_function_described(session, each) for each in library.functions.values()]
    pairs = [
        (bulk(b"library_name"), bulk(library.name)),
        (bulk(b"engine"), bulk(ENGINE)),
        (bulk(b"functions"), array(functions)),
    ]
    if with_code:
        pairs.append((bulk(b"library_code"), bulk(library.code)))
    return _map(session, pairs)


def _function_described(session: Session, function: Function) -> bytes:
    encoder = session.encoder
    description = function.description
    declared = function.declaration.flags or frozenset()
    # Flags are status lines, as those of COMMAND are.
    flags = [b"+%b\r\n" % flag for flag in FLAG_NAMES if flag in declared]
    return _map(
        session,
        [
            (bulk(b"name"), bulk(function.name)),
            (bulk(b"description"), encoder.null if description is None else bulk(description)),
            (bulk(b"flags"), encoder.set_header(len(flags)) + b"".join(flags)),
        ],
    )


@command(
    "FUNCTION STATS",
    group="scripting",
    since="7.0.0",
    arity=2,
    flags="noscript allow_busy",
    tips=(
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ),
)
def function_stats(session: Session, args: list[bytes]) -> bytes:
    """Tells which function is being run, and how many there are."""
    machine, encoder = session.machine, session.encoder
    running = machine.scripts.running
    now_running = encoder.null
    if running.session is not None:
        if not running.is_function:
            raise running.busy_error
        now_running = _map(
            session,
            [
                (bulk(b"name"), bulk(running.name)),
                (bulk(b"command"), array([bulk(word) for word in running.words])),
                (bulk(b"duration_ms"), integer(running.elapsed_ms)),
            ],
        )
    functions = machine.functions
    engine = _map(
        session,
        [
            (bulk(b"libraries_count"), integer(len(functions.libraries))),
            (bulk(b"functions_count"), integer(len(functions))),
        ],
    )
    return _map(
        session,
        [
            (bulk(b"running_script"), now_running),
            (bulk(b"engines"), _map(session, [(bulk(ENGINE), engine)])),
        ],
    )


@command(
    "FUNCTION KILL",
    group="scripting",
    since="7.0.0",
    arity=2,
    flags="noscript allow_busy",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)
def function_kill(session: Session, args: list[bytes]) -> bytes:
    """Ends the function that keeps the server busy, unless it has written."""
    session.machine.scripts.running.kill(is_function=True)
    return OK


@command("FUNCTION HELP", group="scripting", since="7.0.0", arity=2, flags="loading stale")
def function_help(session: Session, args: list[bytes]) -> bytes:
    """Lists the sub-commands."""
    return help_reply("FUNCTION")
