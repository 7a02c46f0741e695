"""The fixed sizes of the bus protocol and the bounds that we put on what others send.

Rules: constants only, each with its unit last and its reason; whoever needs a bound takes it from
here. The sizes are Redis 7's and can never change, since nodes of many versions share one bus. The
bounds are ours: Redis itself trusts a length field of 32 bits, we do not.
"""

import string
from typing import Final

SLOT_COUNT: Final = 16_384
SLOTS_BITMAP_BYTES: Final = SLOT_COUNT // 8
"""One bit a slot; slot `s` is bit `s % 8`, counted from the lowest, of byte `s // 8`."""

NODE_ID_CHARS: Final = 40
IP_FIELD_BYTES: Final = 46
"""Room for the longest IPv6 text and its closing NUL."""

SIGNATURE: Final = b"RCmb"
PROTOCOL_VERSION: Final = 1
PREFIX_BYTES: Final = 16
"""Signature, length, version, port, type, count: enough to judge a frame's length."""
HEADER_BYTES: Final = 2_256
LIGHT_HEADER_BYTES: Final = PREFIX_BYTES
GOSSIP_ENTRY_BYTES: Final = 104
EXTENSION_HEADER_BYTES: Final = 8
UPDATE_BODY_BYTES: Final = 8 + NODE_ID_CHARS + SLOTS_BITMAP_BYTES
PUBLISH_LENGTHS_BYTES: Final = 8
MODULE_PREFIX_BYTES: Final = 13

BUS_PORT_OFFSET: Final = 10_000
"""The bus listens this far above the client port, unless told otherwise."""
MAX_PORT: Final = 65_535

MAX_EPOCH: Final = (1 << 63) - 1
"""An epoch of 2^64 - 1 would wrap at the next election and freeze the cluster for good."""
MAX_REPLICATION_OFFSET: Final = (1 << 63) - 1
MAX_TTL_S: Final = (1 << 63) - 1
MAX_TIME_MS: Final = (1 << 63) - 1
MAX_NAME_CHARS: Final = 255
"""Host names and human node names: the longest host name DNS allows."""
MIN_GOSSIP_ENTRIES_ROOM: Final = 1_024
"""A node that knows nobody yet must be able to read the first PING from a large cluster."""
EXTENSION_BYTES_ROOM: Final = 16_384
"""Host name, human name, shard id, and some two hundred forgotten nodes."""
DEFAULT_MAX_BULK_BYTES: Final = 512 * 1024 * 1024
"""Redis' default of `proto-max-bulk-len`: no channel and no message of PUBLISH is longer."""
MAX_STRANGER_FRAME_BYTES: Final = (
    HEADER_BYTES + MIN_GOSSIP_ENTRIES_ROOM * GOSSIP_ENTRY_BYTES + EXTENSION_BYTES_ROOM
)
"""All that a peer which has not yet shown itself a member may make us hold."""

NODE_ID_ALPHABET: Final = (string.digits + string.ascii_lowercase).encode()
"""Redis makes hexadecimal ids, but takes any lower-case letter."""
HOSTNAME_ALPHABET: Final = (string.digits + string.ascii_letters + "-.").encode()
IP_ALPHABET: Final = HOSTNAME_ALPHABET + b":_%"
"""Addresses of both families with a zone, and the names that people announce as an address."""
STORED_NAME_ALPHABET: Final = HOSTNAME_ALPHABET + b"_/"
"""What an auxiliary name or value of nodes.conf may be made of, so that it cannot break a line."""
