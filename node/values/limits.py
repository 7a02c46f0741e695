"""When a collection stops being "compact": the sizes at which OBJECT ENCODING changes its answer.

The classes here store everything in Python's own structures whatever the encoding is called; yet
clients can see the name, so each value remembers it as Redis would have it. One `CollectionLimits`
belongs to a node: every value points to it, and CONFIG SET changes it for all of them at once.
"""

from typing import Final

from attrs import define

#: What `list-max-listpack-size` says in the place of so many bytes.
_NODE_BYTES: Final = {-1: 4096, -2: 8192, -3: 16384, -4: 32768, -5: 65536}
#: However many elements a node may have, its bytes are limited all the same.
_NODE_SAFETY_BYTES: Final = 8192


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
    #: Some hash of the node has, or had, fields with lifetimes: no directive, but just as common
    #: to all values. Until then nobody need look for such hashes.
    has_field_lifetimes: bool = False

    def exceeds_list_node(self, size: int, count: int, divisor: int) -> bool:
        """Whether that is too much for one node of a list, or (`divisor`) a part of a node."""
        limit = self.list_max_listpack_size
        if limit < 0:
            return size > _NODE_BYTES.get(limit, 65536) // divisor
        if divisor == 1 and size > _NODE_SAFETY_BYTES:
            return True
        return count > max(limit, 1) // divisor

    @property
    def half_list_node_elements(self) -> int:
        """No half of a node of a list has more elements, each being two bytes at least."""
        limit = self.list_max_listpack_size
        return _NODE_BYTES.get(limit, 65536) // 4 if limit < 0 else max(limit, 1) // 2


#: For values that belong to no node.
DEFAULT_LIMITS: Final = CollectionLimits()
