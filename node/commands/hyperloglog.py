"""HyperLogLogs: how many distinct elements there were, in 12 KiB and with an error of 0.81 %.

A HyperLogLog is an ordinary string with a known header, which anybody may have written. So every
function of `values/hyperloglog.py` doubts what it is given, and `_WORDED` words those doubts.
"""

from collections.abc import Iterator
from typing import Final

from ...slots.keyspec import key_range, one_key
from ..errors import CommandError
from ..registry import command
from ..resp.encoder import OK, ONE, ZERO, array, bulk, integer, simple
from ..session import Session
from ..values.hyperloglog import (
    CorruptedHyperLogLogError,
    NotHyperLogLogError,
    add_elements,
    check_untrusted,
    count,
    count_union,
    describe_runs,
    encoding_name,
    merge,
    read_registers,
    self_test,
    to_dense,
)

_NOT_A_HYPERLOGLOG: Final = CommandError(b"WRONGTYPE Key is not a valid HyperLogLog string value.")
_CORRUPTED: Final = CommandError(b"INVALIDOBJ Corrupted HLL object detected")
_NO_SUCH_KEY: Final = CommandError(b"ERR The specified key does not exist")
_NOT_SPARSE: Final = CommandError(b"ERR HLL encoding is not sparse")


#: What a value may turn out to be, and how the client is told.
_DOUBTS: Final = (NotHyperLogLogError, CorruptedHyperLogLogError)
_WORDED: Final = {NotHyperLogLogError: _NOT_A_HYPERLOGLOG, CorruptedHyperLogLogError: _CORRUPTED}


@command(
    "PFADD",
    group="hyperloglog",
    since="2.8.9",
    arity=-2,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key [element...]",
    complexity="O(1) for each element",
)
def pfadd(session: Session, args: list[bytes]) -> bytes:
    """Shows elements to a HyperLogLog; tells whether its estimate may have changed."""
    db = session.db
    key = args[1]
    value = db.string_for_write(key)
    old = None if value is None else bytes(value)
    try:
        new = add_elements(old, args[2:], session.machine.config.hll_sparse_max_bytes)
    except _DOUBTS as doubt:
        raise _WORDED[type(doubt)] from None
    if new is None:
        return ZERO
    db.put(key, new)
    db.changed(key, "$", b"pfadd")
    return ONE


@command(
    "PFCOUNT",
    group="hyperloglog",
    since="2.8.9",
    arity=-2,
    flags="readonly",
    keys=(key_range(1, "RW", "ACCESS", notes="The estimate is remembered in the value"),),
    args="key...",
    complexity="O(1) for one key, where the estimate is remembered; O(N) for N keys",
)
def pfcount(session: Session, args: list[bytes]) -> bytes:
    """Estimates how many distinct elements one HyperLogLog, or several together, were shown."""
    db = session.db
    key = args[1]
    try:
        if len(args) > 2:
            return integer(count_union(_existing(session, args[1:])))
        value = db.string(key)
        if value is None:
            return ZERO
        estimate, remembering = count(bytes(value))
    except _DOUBTS as doubt:
        raise _WORDED[type(doubt)] from None
    if remembering is not None:
        # The estimate is kept inside of the value, so that reading it is a change.
        db.put(key, remembering)
        db.changed(key, "$", b"")
    return integer(estimate)


def _existing(session: Session, keys: list[bytes]) -> Iterator[bytes]:
    """The values of those keys that exist; each is judged before the next one is looked up."""
    for key in keys:
        value = session.db.string(key)
        if value is not None:
            yield bytes(value)


@command(
    "PFMERGE",
    group="hyperloglog",
    since="2.8.9",
    arity=-2,
    flags="write denyoom",
    keys=(one_key(1, "RW", "ACCESS", "INSERT"), key_range(2, "RO", "ACCESS")),
    args="destkey [sourcekey...]",
    complexity="O(N), N HyperLogLogs",
)
def pfmerge(session: Session, args: list[bytes]) -> bytes:
    """Makes a HyperLogLog that has seen what it and all the others have seen."""
    db = session.db
    destination = args[1]
    try:
        values: list[bytes] = []
        for value in _existing(session, args[1:]):
            # Which error wins goes by the order of the keys; only sparse values can be damaged.
            check_untrusted(value)
            if encoding_name(value) == b"sparse":
                read_registers(value)
            values.append(value)
        own = values.pop(0) if db.exists(destination) else None
        new = merge(own, values, session.machine.config.hll_sparse_max_bytes)
    except _DOUBTS as doubt:
        raise _WORDED[type(doubt)] from None
    db.put(destination, new)
    db.changed(destination, "$", b"pfadd")
    return OK


@command(
    "PFDEBUG",
    group="hyperloglog",
    since="2.8.9",
    arity=3,
    flags="write denyoom admin",
    keys=(one_key(2, "RW", "ACCESS"),),
    args="subcommand key",
    complexity="Depends on the sub-command",
)
def pfdebug(session: Session, args: list[bytes]) -> bytes:
    """Looks inside of a HyperLogLog, for tests."""
    db = session.db
    _, wanted, key = args
    found = db.string_for_write(key)
    if found is None:
        raise _NO_SUCH_KEY
    try:
        return _look_inside(session, wanted, key, bytes(found))
    except _DOUBTS as doubt:
        raise _WORDED[type(doubt)] from None


def _look_inside(session: Session, wanted: bytes, key: bytes, value: bytes) -> bytes:
    check_untrusted(value)
    match wanted.upper():
        case b"GETREG":
            registers = read_registers(value)
            _make_dense(session, key, value)
            return array([integer(register) for register in registers])
        case b"DECODE":
            runs = describe_runs(value)
            if runs is None:
                raise _NOT_SPARSE
            return bulk(runs)
        case b"ENCODING":
            return simple(encoding_name(value))
        case b"TODENSE":
            return ONE if _make_dense(session, key, value) else ZERO
    raise CommandError(b"ERR Unknown PFDEBUG subcommand '%b'" % wanted)


def _make_dense(session: Session, key: bytes, value: bytes) -> bool:
    dense = to_dense(value)
    if dense is None:
        return False
    session.db.put(key, dense)
    session.db.changed(key, "$", b"")
    return True


@command(
    "PFSELFTEST",
    group="hyperloglog",
    since="2.8.9",
    arity=1,
    flags="admin",
    complexity="A matter of milliseconds",
)
def pfselftest(session: Session, args: list[bytes]) -> bytes:
    """Checks that both encodings agree and that the estimates are as good as they should be."""
    failure = self_test()
    if failure is not None:
        raise CommandError(failure)
    return OK
