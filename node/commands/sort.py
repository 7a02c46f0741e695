"""SORT: the elements of a list, set or sorted set in another order, or what they point to.

* Elements with equal weights are sorted by themselves. Where that does not help (ALPHA by the
  values of other keys) they keep their order, and those of sets and sorted sets, which have none
  that all copies of the data share, are first put into one: so STORE gives the same everywhere.
* In a cluster, patterns may only lead to keys of the slot that the sorted key is in.
"""

from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

from ...slots.hashing import key_slot
from ...slots.keyspec import found_by, one_key, unknown_keys
from ..database import Database
from ..errors import SYNTAX, WRONG_TYPE, CommandError, as_c_string
from ..registry import command
from ..resp.encoder import array, bulk, bulk_array, integer
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.listvalue import ListValue
from ..values.numbers import parse_float_loosely
from ..values.setvalue import SetValue
from ..values.zsetvalue import ZSetValue
from .arguments import required_integer
from .scan import maybe_only_slot

_NOT_A_WEIGHT: Final = CommandError(b"ERR One or more scores can't be converted into double")
_BY_DENIED: Final = CommandError(
    b"ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in "
    b"different slots."
)
_GET_DENIED: Final = CommandError(
    b"ERR GET option of SORT denied in Cluster mode when keys formed by the pattern may be in "
    b"different slots."
)
_BY_FORBIDDEN: Final = CommandError(
    b"ERR BY option of SORT denied due to insufficient ACL permissions."
)
_GET_FORBIDDEN: Final = CommandError(
    b"ERR GET option of SORT denied due to insufficient ACL permissions."
)
_ITSELF: Final = b"#"
#: Up to so many digits nothing can be out of range.
_LONGEST_SURE_NUMBER: Final = 18
_SYNTAX: Final = (
    "key [BY by-pattern:pattern] [LIMIT offset count] [GET get-pattern:pattern]... "
    "[order:oneof(ASC|DESC)] [ALPHA]"
)
#: How many words an option takes, its name included.
_WORDS_OF: Final = {b"LIMIT": 3, b"GET": 2, b"BY": 2}


@define
class _Request:
    """One SORT, taken apart."""

    is_descending: bool = False
    is_alphabetic: bool = False
    offset: int = 0
    #: Negative: all.
    count: int = -1
    by_pattern: bytes | None = None
    #: A BY without an asterisk: the order is left as it is.
    is_unsorted: bool = False
    get_patterns: list[bytes] = field(factory=list)
    destination: bytes | None = None


def _destination_positions(args: Sequence[bytes]) -> Sequence[int]:
    """Where the key behind STORE is; the last one counts."""
    found: list[int] = []
    position = 2
    while position < len(args):
        word = args[position].upper()
        if word == b"STORE" and position + 1 < len(args):
            found = [position + 1]
            position += 2
        else:
            position += _WORDS_OF.get(word, 1)
    return found


_KEY: Final = one_key(1, "RO", "ACCESS")
_PATTERN_KEYS: Final = unknown_keys(
    "RO", "ACCESS", notes="For BY and GET: which keys these are is only known while sorting."
)
_STORE_KEY: Final = found_by(
    unknown_keys("OW", "UPDATE", notes="For STORE, which may be anywhere in the line."),
    _destination_positions,
)


@command(
    "SORT",
    group="generic",
    since="1.0.0",
    arity=-2,
    flags="write denyoom",
    keys=(_KEY, _PATTERN_KEYS, _STORE_KEY),
    args=f"{_SYNTAX} [STORE destination:key]",
    complexity="O(N+M*log(M)) for N elements of which M are returned",
    categories="set sortedset list dangerous",
    bare=True,
)
def sort(session: Session, args: list[bytes]) -> bytes:
    """Sorts the elements of a list, a set or a sorted set; returns or stores the result."""
    return _sort(session, args, may_store=True)


@command(
    "SORT_RO",
    group="generic",
    since="7.0.0",
    arity=-2,
    flags="readonly",
    keys=(_KEY, _PATTERN_KEYS),
    args=_SYNTAX,
    complexity="O(N+M*log(M)) for N elements of which M are returned",
    categories="set sortedset list dangerous",
    bare=True,
)
def sort_ro(session: Session, args: list[bytes]) -> bytes:
    """Sorts the elements of a list, a set or a sorted set; stores nothing."""
    return _sort(session, args, may_store=False)


def _parse(session: Session, args: list[bytes], may_store: bool) -> _Request:
    request = _Request()
    is_clustered = session.machine.config.cluster_enabled
    position = 2
    while position < len(args):
        word = args[position].upper()
        more = len(args) - 1 - position
        if word in (b"ASC", b"DESC"):
            request.is_descending = word == b"DESC"
        elif word == b"ALPHA":
            request.is_alphabetic = True
        elif word == b"LIMIT" and more >= 2:
            request.offset = required_integer(args[position + 1])
            request.count = required_integer(args[position + 2])
            position += 2
        elif word == b"STORE" and more and may_store:
            position += 1
            request.destination = args[position]
        elif word == b"BY" and more:
            position += 1
            pattern = request.by_pattern = args[position]
            if b"*" not in as_c_string(pattern):
                request.is_unsorted = True
            elif is_clustered and maybe_only_slot(pattern) != key_slot(args[1]):
                raise _BY_DENIED
            elif not _may_read_any_key(session, args, may_store):
                raise _BY_FORBIDDEN
        elif word == b"GET" and more:
            position += 1
            pattern = args[position]
            if (
                is_clustered
                and pattern != _ITSELF
                and maybe_only_slot(pattern) != key_slot(args[1])
            ):
                raise _GET_DENIED
            if not _may_read_any_key(session, args, may_store):
                raise _GET_FORBIDDEN
            request.get_patterns.append(pattern)
        else:
            raise SYNTAX
        position += 1
    return request


def _may_read_any_key(session: Session, args: list[bytes], may_store: bool) -> bool:
    """Whether the client may read whatever keys a pattern leads to."""
    account = session.account
    if account.is_unrestricted:
        return True
    command = session.machine.gate.commands[b"SORT" if may_store else b"SORT_RO"]
    return account.may_read_any_key(command, args)


def _sort(session: Session, args: list[bytes], *, may_store: bool) -> bytes:
    request = _parse(session, args, may_store)
    db = session.db
    elements = _ordered(session, request, db.get(args[1]))
    patterns = request.get_patterns
    if not patterns:
        found: list[bytes | None] = list(elements)
    else:
        lookups = [_Lookup(db, pattern) for pattern in patterns]
        found = [lookup(element) for element in elements for lookup in lookups]
    if request.destination is not None:
        return _store(session, request.destination, [text or b"" for text in found])
    if not patterns:
        return bulk_array(elements)
    null = session.encoder.null
    return array([null if text is None else bulk(text) for text in found])


def _store(session: Session, key: bytes, texts: list[bytes]) -> bytes:
    db = session.db
    if texts:
        db.set(key, ListValue(texts, session.machine.limits))
        db.changed(key, "l", b"sortstore")
    elif db.delete(key):
        db.changed(key, "g", b"del")
    return integer(len(texts))


# --- putting into order ----------------------------------------------------------------------


def _ordered(session: Session, request: _Request, value: object) -> list[bytes]:
    """The elements that are to be returned, in their new order."""
    if value is None:
        return []
    kind = type(value)
    if kind is not ListValue and kind is not SetValue and kind is not ZSetValue:
        raise WRONG_TYPE
    assert isinstance(value, ListValue | SetValue | ZSetValue)
    if isinstance(value, ZSetValue):
        # Redis takes it out of its listpack for good, and lets clients see that.
        value.is_compact = False
    start, stop = _bounds(request, len(value))
    if request.is_unsorted:
        if not isinstance(value, SetValue):
            return _in_own_order(request, value, start, stop)
        if request.destination is None and session.may_block:
            return value.members()[start:stop]
        # The order of a set is no order; what is stored must be the same everywhere.
        return sorted(value, reverse=request.is_descending)[start:stop]
    elements = list(value)
    _put_into_order(session.db, request, elements, has_order=kind is ListValue)
    return elements[start:stop]


def _put_into_order(
    db: Database, request: _Request, elements: list[bytes], *, has_order: bool
) -> None:
    """Sort; whatever is equal keeps its order, downwards too."""
    is_descending = request.is_descending
    by_pattern = request.by_pattern
    if not request.is_alphabetic:
        elements.sort(reverse=is_descending)
        elements.sort(key=_weighing(db, by_pattern), reverse=is_descending)
    elif by_pattern is not None:
        if not has_order:
            elements.sort(reverse=is_descending)
        elements.sort(key=_spelling(db, request), reverse=is_descending)
    elif request.destination is not None:
        elements.sort(reverse=is_descending)
    else:
        elements.sort(key=as_c_string, reverse=is_descending)


def _bounds(request: _Request, size: int) -> tuple[int, int]:
    """LIMIT, as a slice of something so long."""
    start = min(max(request.offset, 0), size)
    if request.count < 0:
        return start, size
    return start, min(start + request.count, size)


def _in_own_order(
    request: _Request, value: ListValue | ZSetValue, start: int, stop: int
) -> list[bytes]:
    """A piece of a list or a sorted set as it is, or from behind."""
    if request.is_descending:
        size = len(value)
        start, stop = size - stop, size - start
    if isinstance(value, ZSetValue):
        return value.members(start, stop, request.is_descending)
    elements = value.range(start, stop)
    return elements[::-1] if request.is_descending else elements


def _weighing(db: Database, by_pattern: bytes | None) -> Callable[[bytes], float]:
    """What numbers elements are sorted by."""
    lookup = None if by_pattern is None else _Lookup(db, by_pattern)

    def weigh(element: bytes) -> float:
        text: bytes | None = element if lookup is None else lookup(element)
        if text is None:
            return 0.0
        if len(text) <= _LONGEST_SURE_NUMBER and text.isdigit():
            return float(text)
        weight = parse_float_loosely(text, refuse_range_errors=True)
        if weight is None:
            raise _NOT_A_WEIGHT
        return weight

    return weigh


def _spelling(db: Database, request: _Request) -> Callable[[bytes], tuple[bool, bytes]]:
    """What texts elements are sorted by; those without one come first."""
    assert request.by_pattern is not None
    lookup = _Lookup(db, request.by_pattern)
    # What is stored is compared byte by byte, what is shown as C compares texts.
    is_exact = request.destination is not None

    def spell(element: bytes) -> tuple[bool, bytes]:
        text = lookup(element)
        if text is None:
            return False, b""
        return True, text if is_exact else as_c_string(text)

    return spell


# --- what elements point to ------------------------------------------------------------------


class _Lookup:
    """A pattern of BY or GET: the value of the key that it makes of an element.

    The first asterisk stands for the element. Behind it `->field` asks for a field of a hash.
    """

    def __init__(self, db: Database, pattern: bytes) -> None:
        self._db = db
        self._is_itself = pattern == _ITSELF
        self._field: bytes | None = None
        visible = as_c_string(pattern)
        place = visible.find(b"*")
        #: Without an asterisk there is nothing to be found.
        self._is_void = place < 0
        self._before = pattern[:place]
        self._behind = pattern[place + 1 :]
        arrow = visible.find(b"->", place + 1)
        if not self._is_void and 0 <= arrow < len(visible) - 2:
            self._field = pattern[arrow + 2 :]
            self._behind = pattern[place + 1 : arrow]

    def __call__(self, element: bytes) -> bytes | None:
        """The text for an element, or None."""
        if self._is_itself:
            return element
        if self._is_void:
            return None
        db = self._db
        value = db.get(self._before + element + self._behind)
        if self._field is None:
            return bytes(value) if isinstance(value, bytes | bytearray) else None
        if type(value) is not HashValue:
            return None
        dies_at_ms = value.maybe_expiry_ms(self._field)
        if dies_at_ms is not None and dies_at_ms <= db.clock.now_ms:
            return None
        return value.get(self._field)
