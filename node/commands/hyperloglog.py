"""HyperLogLogs: how many distinct elements there were, in 12 KiB and with an error of 0.81 %.

A HyperLogLog is an ordinary string with a known header, which anybody may have written. So every
function below `values/hyperloglog.py` doubts what it is given, and `_SAYS` words those doubts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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

_NOT_A_HYPERLOGLOG: Final = CommandError(
    b"WRONGTYPE Key is not a valid HyperLogLog string value."
)
_CORRUPTED: Final = CommandError(b"INVALIDOBJ Corrupted HLL object detected")
_NO_SUCH_KEY: Final = CommandError(b"ERR The specified key does not exist")
_NOT_SPARSE: Final = CommandError(b"ERR HLL encoding is not sparse")


@contextmanager
def _doubts_worded() -> Iterator[None]:
    """What is wrong with a value becomes the error that the client gets."""
    try:
        yield
    except NotHyperLogLogError:
        raise _NOT_A_HYPERLOGLOG from None
    except CorruptedHyperLogLogError:
        raise _CORRUPTED from None


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
    if type(value) is bytearray:
        value = bytes(value)
    with _doubts_worded():
        new = add_elements(value, args[2:], session.machine.config.hll_sparse_max_bytes)
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
    keys=(key_range(1, "RW", "ACCESS"),),
    args="key...",
    complexity="O(1) for one key, where the estimate is remembered; O(N) for N keys",
)
def pfcount(session: Session, args: list[bytes]) -> bytes:
    """Estimates how many distinct elements one HyperLogLog, or several together, were shown."""
    db = session.db
    if len(args) > 2:
        with _doubts_worded():
            return integer(count_union(_existing(session, args[1:])))
    key = args[1]
    value = db.string(key)
    if value is None:
        return ZERO
    with _doubts_worded():
        estimate, remembering = count(bytes(value))
    if remembering is not None:
        # The estimate is kept inside of the value, so that reading it is a change.
        db.put(key, remembering)
        db.changed(key, "$", b"")
    return integer(estimate)


def _existing(session: Session, keys: list[bytes]) -> list[bytes]:
    """The values of those keys that exist; each is judged before the next one is looked up."""
    values: list[bytes] = []
    for key in keys:
        value = session.db.string(key)
        if value is not None:
            values.append(bytes(value))
            check_untrusted(values[-1])
    return values


@command(
    "PFMERGE",
    group="hyperloglog",
    since="2.8.9",
    arity=-2,
    flags="write denyoom",
    keys=(
        key_range(1, "RW", "ACCESS", "INSERT"),
        key_range(2, "RO", "ACCESS"),
    ),
    args="destkey [sourcekey...]",
    complexity="O(N), N HyperLogLogs",
)
def pfmerge(session: Session, args: list[bytes]) -> bytes:
    """Makes a HyperLogLog that has seen what it and all the others have seen."""
    db = session.db
    destination = args[1]
    with _doubts_worded():
        own = _existing(session, [destination])
        new = merge(
            own[0] if own else None,
            _existing(session, args[2:]),
            session.machine.config.hll_sparse_max_bytes,
        )
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
    value = bytes(found)
    with _doubts_worded():
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
