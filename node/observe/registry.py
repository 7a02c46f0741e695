"""Who tells what in INFO: sections by name, and for each the providers of its fields.

A provider is a function of the machine that returns (name, value) pairs. Features that come later
add providers of their own: a field that was told before keeps its place and takes the new value,
others follow behind. So replication replaces `master_repl_offset` without a word about it here.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..machine import Machine

#: One field and its value; numbers with decimals come as text, since each has its own format.
Field = tuple[str, int | str]
Provider = Callable[["Machine"], Sequence[Field]]

#: The sections in the order of INFO, and the titles that they have in it.
TITLES: Final = {
    "server": "Server",
    "clients": "Clients",
    "memory": "Memory",
    "persistence": "Persistence",
    "stats": "Stats",
    "replication": "Replication",
    "cpu": "CPU",
    "modules": "Modules",
    "commandstats": "Commandstats",
    "errorstats": "Errorstats",
    "latencystats": "Latencystats",
    "cluster": "Cluster",
    "keyspace": "Keyspace",
}
#: These are long: INFO without arguments leaves them out.
_LONG: Final = frozenset({"commandstats", "latencystats"})
_SYNONYMS: Final = {"module_list": "modules"}


class InfoRegistry:
    """The sections of one node."""

    def __init__(self) -> None:
        self._providers: dict[str, list[Provider]] = {name: [] for name in TITLES}

    def add(self, section: str, provider: Provider) -> None:
        """Have `provider` add to a section, or replace fields in it."""
        self._providers[section].append(provider)

    def fields(self, section: str, machine: "Machine") -> dict[str, int | str]:
        """The fields of one section."""
        found: dict[str, int | str] = {}
        for provider in self._providers[section]:
            found.update(provider(machine))
        return found

    def text(self, machine: "Machine", wanted: Sequence[str]) -> str:
        """INFO's text for the given section names (none: the usual ones)."""
        sections = chosen_sections(wanted)
        return "\r\n".join(
            f"# {title}\r\n"
            + "".join(f"{name}:{value}\r\n" for name, value in self.fields(key, machine).items())
            for key, title in TITLES.items()
            if key in sections
        )


def chosen_sections(wanted: Sequence[str]) -> set[str]:
    """The sections that a request means; names that nobody knows mean none."""
    chosen: set[str] = set()
    for name in wanted or ("default",):
        lowered = name.lower()
        if lowered in ("all", "everything"):
            chosen.update(TITLES)
        elif lowered == "default":
            chosen.update(TITLES.keys() - _LONG)
        else:
            section = _SYNONYMS.get(lowered, lowered)
            if section in TITLES:
                chosen.add(section)
    return chosen
