"""When a collection stops being "compact": the sizes at which OBJECT ENCODING changes its answer.

The classes here store everything in Python's own structures whatever the encoding is called; yet
clients can see the name, so each value remembers it as Redis would have it. One `CollectionLimits`
belongs to a node: every value points to it, and CONFIG SET changes it for all of them at once.
"""

from typing import Final

from attrs import define


@define(eq=False)
class CollectionLimits:
    """The limits of one node, under the names of their directives."""

    hash_max_listpack_entries: int = 128
    hash_max_listpack_value: int = 64
    #: Positive: so many elements a node. Negative: 4, 8, 16, 32 or 64 kb a node.
    list_max_listpack_size: int = -2
    set_max_intset_entries: int = 512
    set_max_listpack_entries: int = 128
    set_max_listpack_value: int = 64
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64
    #: Zero is no limit, for both.
    stream_node_max_bytes: int = 4096
    stream_node_max_entries: int = 100
    #: Redis 7.2 keeps short lists and short sets of strings in a listpack; Redis 7.0 does neither.
    has_listpack_lists: bool = True
    has_listpack_sets: bool = True


#: For values that belong to no node.
DEFAULT_LIMITS: Final = CollectionLimits()
