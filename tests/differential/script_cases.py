"""What a case of the script corpus is: requests, sent in order to an empty server."""

from dataclasses import dataclass

Word = bytes | str | int


@dataclass(frozen=True, slots=True)
class Case:
    """Requests to be sent in order."""

    name: str
    requests: tuple[tuple[Word, ...], ...]


def script(name: str, text: str, keys: tuple[Word, ...] = (), *arguments: Word) -> Case:
    """A case of one EVAL."""
    return Case(name, (("EVAL", text, len(keys), *keys, *arguments),))


def case(name: str, *requests: tuple[Word, ...]) -> Case:
    """A case of several requests."""
    return Case(name, requests)
