"""CRC-64 as snapshots and serialized values end with (Jones' polynomial, bits reflected)."""

from collections.abc import Callable
from typing import Final

import crcmod

#: Takes bytes, and the checksum of what was before them.
checksum: Final[Callable[..., int]] = crcmod.mkCrcFun(
    0x1AD93D23594C935A9, initCrc=0, rev=True, xorOut=0
)
