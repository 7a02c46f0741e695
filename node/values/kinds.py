"""What the node must know of any value, whatever command family it belongs to.

Owns the names that TYPE and OBJECT ENCODING show, and how a value is copied. A value is told by
its exact class: one look into one table, which every class is entered in once.

* A string is `bytes`, or `bytearray` once a command edited it in place.
* What Redis would keep as a machine integer is still text here; its encoding is found by looking.
"""

from collections.abc import Callable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from .hashvalue import HashValue
from .limits import DEFAULT_LIMITS
from .listvalue import ListValue
from .numbers import parse_integer
from .packed import PACKED_KINDS, Packed
from .setvalue import SetValue
from .streamvalue import StreamValue
from .zsetvalue import ZSetValue

if TYPE_CHECKING:
    from ..config import Config

#: Redis keeps strings up to this length in one piece with their header.
EMBEDDED_MAX_BYTES: Final = 44
#: Longer texts are no 64-bit integers.
_INTEGER_MAX_BYTES: Final = 20
#: Redis keeps one shared object for each of the numbers below this.
_SHARED_INTEGERS: Final = 10_000
#: What OBJECT REFCOUNT says of those.
SHARED_COUNT: Final = 2**31 - 1


@frozen
class Kind:
    """One class of values."""

    #: What TYPE says.
    type_name: bytes
    #: What OBJECT ENCODING says of a value under a configuration.
    encoding: Callable[[Any, "Config"], bytes]
    #: An equal value that shares nothing changeable with the old one.
    copy: Callable[[Any], Any]
    #: How many elements there are to free; strings are one.
    length: Callable[[Any], int]


_KINDS: Final[dict[type, Kind]] = {}


def register(value_class: type, kind: Kind) -> None:
    """Enter a class of values into the table."""
    assert value_class not in _KINDS, value_class
    _KINDS[value_class] = kind


def type_name(value: object) -> bytes:
    """The name of a value's type, as TYPE and SCAN know it."""
    return _KINDS[type(value)].type_name


def encoding_name(value: object, config: "Config") -> bytes:
    """How Redis would keep the value."""
    return _KINDS[type(value)].encoding(value, config)


def copy_value(value: object) -> Any:
    """An independent copy."""
    return _KINDS[type(value)].copy(value)


def element_count(value: object) -> int:
    """How many elements a value consists of: what freeing it costs."""
    return _KINDS[type(value)].length(value)


def is_shared_integer(value: object) -> bool:
    """Whether Redis would use one of its shared objects for this value."""
    if type(value) is not bytes or len(value) > 4:
        return False
    number = parse_integer(value)
    return number is not None and 0 <= number < _SHARED_INTEGERS


def _string_encoding(value: bytes, config: "Config") -> bytes:
    size = len(value)
    if size <= _INTEGER_MAX_BYTES and parse_integer(value) is not None:
        return b"int"
    return b"embstr" if size <= EMBEDDED_MAX_BYTES else b"raw"


def _edited_encoding(value: bytearray, config: "Config") -> bytes:
    return b"raw"


def _same(value: bytes) -> bytes:
    return value


def _one(value: object) -> int:
    return 1


def _own_encoding(value: Any, config: "Config") -> bytes:
    name: bytes = value.encoding
    return name


def _packed_encoding(value: Packed, config: "Config") -> bytes:
    return _own_encoding(value.unpacked(DEFAULT_LIMITS), config)


def _register_collection(value_class: type, name: bytes) -> None:
    register(value_class, Kind(name, _own_encoding, methodcaller("copy"), len))


register(bytes, Kind(b"string", _string_encoding, _same, _one))
register(bytearray, Kind(b"string", _edited_encoding, bytearray, _one))
_register_collection(ListValue, b"list")
_register_collection(HashValue, b"hash")
_register_collection(SetValue, b"set")
_register_collection(ZSetValue, b"zset")
_register_collection(StreamValue, b"stream")
for _packed in PACKED_KINDS:
    # Immutable, and small.
    register(_packed, Kind(_packed.type_name, _packed_encoding, _same, _one))
