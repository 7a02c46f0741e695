"""One sample of each kind of reply, for the tests of client libraries (DEBUG PROTOCOL)."""

from collections.abc import Callable
from typing import Final

from ..errors import CommandError
from ..resp.encoder import Resp2, array, bulk, integer

_ATTRIBUTED: Final = bulk(b"Some real reply following the attribute")


def _attribute(encoder: Resp2) -> bytes:
    if encoder.protocol == 2:
        return _ATTRIBUTED
    popularity = bulk(b"key-popularity") + array([bulk(b"key:123"), integer(90)])
    return encoder.attribute_header(1) + popularity + _ATTRIBUTED


def _push(encoder: Resp2) -> bytes:
    if encoder.protocol == 2:
        raise CommandError(b"ERR RESP2 is not supported by this command")
    usage = bulk(b"server-cpu-usage") + integer(42)
    return encoder.push_header(2) + usage + bulk(b"Some real reply following the push reply")


def _map(encoder: Resp2) -> bytes:
    pairs = (integer(number) + encoder.boolean(number == 1) for number in range(3))
    return encoder.map_header(3) + b"".join(pairs)


_SAMPLES: Final[dict[bytes, Callable[[Resp2], bytes]]] = {
    b"string": lambda encoder: bulk(b"Hello World"),
    b"integer": lambda encoder: integer(12345),
    b"double": lambda encoder: encoder.double(3.141),
    b"bignum": lambda encoder: encoder.big_number(b"1234567999999999999999999999999999999"),
    b"null": lambda encoder: encoder.null,
    b"array": lambda encoder: array([integer(number) for number in range(3)]),
    b"set": lambda encoder: encoder.set_header(3) + b"".join(map(integer, range(3))),
    b"map": _map,
    b"attrib": _attribute,
    b"push": _push,
    b"verbatim": lambda encoder: encoder.verbatim(b"This is a verbatim\nstring"),
    b"true": lambda encoder: encoder.boolean(True),
    b"false": lambda encoder: encoder.boolean(False),
}


def protocol_sample(encoder: Resp2, kind: bytes) -> bytes:
    """A reply of this kind."""
    sample = _SAMPLES.get(kind.lower())
    if sample is None:
        names = b"|".join(_SAMPLES)
        raise CommandError(
            b"ERR Wrong protocol type name. Please use one of the following: " + names
        )
    return sample(encoder)
