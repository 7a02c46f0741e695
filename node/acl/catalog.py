"""The commands that rules can name, and which category stands for which of them.

A container brings its sub-commands along wherever it is named, also through a category. Rules go by
the commands' own names, whatever `rename-command` makes of those.
"""

from collections.abc import Sequence
from functools import lru_cache

from attrs import frozen

from ..registry import ACL_CATEGORIES, CommandSpec, declared, walk
from .access import Access, sole_accesses


@frozen(eq=False)
class Catalog:
    """Every command by its full name (`get`, `config|set`)."""

    #: Name -> the command itself and its sub-commands.
    families: dict[str, frozenset[str]]
    #: Those that have sub-commands.
    containers: frozenset[str]
    #: Category -> its commands as a rule means them: with all their sub-commands.
    categories: dict[str, frozenset[str]]
    #: Category -> its commands as ACL CAT lists them.
    listed: dict[str, tuple[str, ...]]
    names: frozenset[str]
    #: Those whose words may name keys.
    with_keys: frozenset[str]
    #: What is done to all keys of a command, where that is easy to say.
    sole_access: dict[str, Access]

    def maybe_command(self, name: str) -> str | None:
        """The full name of a command that is called so in any spelling."""
        lowered = name.lower()
        return lowered if lowered in self.families else None


def make_catalog(specs: Sequence[CommandSpec]) -> Catalog:
    """A catalog of these commands and sub-commands."""
    families: dict[str, frozenset[str]] = {}
    listed: dict[str, list[str]] = {category: [] for category in ACL_CATEGORIES}
    containers: set[str] = set()
    with_keys: set[str] = set()
    for spec in specs:
        children = frozenset(child.full_name for child in spec.subcommands.values())
        families[spec.full_name] = children | {spec.full_name}
        if children:
            containers.add(spec.full_name)
        if spec.keys:
            with_keys.add(spec.full_name)
        for category in spec.categories:
            listed[category].append(spec.full_name)
    return Catalog(
        families=families,
        containers=frozenset(containers),
        categories={
            category: frozenset().union(*(families[name] for name in names))
            for category, names in listed.items()
        },
        listed={category: tuple(names) for category, names in listed.items()},
        names=frozenset(families),
        with_keys=frozenset(with_keys),
        sole_access=sole_accesses(specs),
    )


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The catalog of all declared commands."""
    return make_catalog([*walk(declared())])
