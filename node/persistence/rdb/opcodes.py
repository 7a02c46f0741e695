"""The numbers of the RDB format, as Redis 2.6 to 7.4 and Valkey 8 write them."""

from typing import Final

MAGIC: Final = b"REDIS"
#: The signature and four digits of the version.
HEADER_BYTES: Final = 9
#: What is written unless a value needs a newer one: Redis 7.0 reads it.
WRITTEN_VERSION: Final = 10
#: The first version with lifetimes of hash fields (Redis 7.4).
FIELD_EXPIRY_VERSION: Final = 12
NEWEST_VERSION: Final = 12
#: Older files end without a checksum.
CHECKSUM_SINCE_VERSION: Final = 5
CHECKSUM_BYTES: Final = 8

# --- what may stand where a key begins
SLOT_INFO: Final = 244
FUNCTION: Final = 245
FUNCTION_PRE_GA: Final = 246
MODULE_AUX: Final = 247
IDLE: Final = 248
FREQUENCY: Final = 249
AUX: Final = 250
RESIZE_DATABASE: Final = 251
EXPIRE_MS: Final = 252
EXPIRE_SECONDS: Final = 253
SELECT_DATABASE: Final = 254
END: Final = 255

# --- types of values
STRING: Final = 0
LIST: Final = 1
SET: Final = 2
ZSET: Final = 3
HASH: Final = 4
ZSET_2: Final = 5
MODULE_PRE_GA: Final = 6
MODULE_2: Final = 7
HASH_ZIPMAP: Final = 9
LIST_ZIPLIST: Final = 10
SET_INTSET: Final = 11
ZSET_ZIPLIST: Final = 12
HASH_ZIPLIST: Final = 13
LIST_QUICKLIST: Final = 14
STREAM: Final = 15
HASH_LISTPACK: Final = 16
ZSET_LISTPACK: Final = 17
LIST_QUICKLIST_2: Final = 18
STREAM_2: Final = 19
SET_LISTPACK: Final = 20
STREAM_3: Final = 21
HASH_EXPIRING_PRE_GA: Final = 22
HASH_LISTPACK_EXPIRING_PRE_GA: Final = 23
HASH_EXPIRING: Final = 24
HASH_LISTPACK_EXPIRING: Final = 25

TYPE_NAMES: Final[dict[int, str]] = {
    STRING: "string",
    LIST: "list",
    SET: "set",
    ZSET: "zset",
    HASH: "hash",
    ZSET_2: "zset-2",
    MODULE_PRE_GA: "module-pre-ga",
    MODULE_2: "module",
    HASH_ZIPMAP: "hash-zipmap",
    LIST_ZIPLIST: "list-ziplist",
    SET_INTSET: "set-intset",
    ZSET_ZIPLIST: "zset-ziplist",
    HASH_ZIPLIST: "hash-ziplist",
    LIST_QUICKLIST: "list-quicklist",
    STREAM: "stream",
    HASH_LISTPACK: "hash-listpack",
    ZSET_LISTPACK: "zset-listpack",
    LIST_QUICKLIST_2: "list-quicklist-2",
    STREAM_2: "stream-2",
    SET_LISTPACK: "set-listpack",
    STREAM_3: "stream-3",
    HASH_EXPIRING_PRE_GA: "hash-expiring-pre-ga",
    HASH_LISTPACK_EXPIRING_PRE_GA: "hash-listpack-expiring-pre-ga",
    HASH_EXPIRING: "hash-expiring",
    HASH_LISTPACK_EXPIRING: "hash-listpack-expiring",
}

# --- lengths: the two highest bits of the first byte
#: These first bytes announce a length of 32 or 64 bits.
LENGTH_32: Final = 0x80
LENGTH_64: Final = 0x81
#: These instead of a length: an integer, or a compressed string.
INTEGER_8: Final = 0xC0
INTEGER_16: Final = 0xC1
INTEGER_32: Final = 0xC2
COMPRESSED: Final = 0xC3

# --- how the nodes of a quicklist (2) are kept
NODE_PLAIN: Final = 1
NODE_LISTPACK: Final = 2

# --- parts of a module's value
MODULE_END: Final = 0
MODULE_SIGNED: Final = 1
MODULE_UNSIGNED: Final = 2
MODULE_FLOAT: Final = 3
MODULE_DOUBLE: Final = 4
MODULE_STRING: Final = 5
