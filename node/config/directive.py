"""What one configuration directive is: a descriptor that is declared once, in a class body.

Rules:

* Whatever can be said about a directive is said in its declaration; CONFIG GET, SET and REWRITE,
  the configuration file, the command line and `cluster.conf.example` are computed from it.
* A directive has no `__set__`: values live in the instance's own `__dict__` under the attribute's
  name, so that reading `config.port` costs no more than reading a plain attribute.
* A `Kind` knows how values of one sort are read and written. It never keeps a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Flag, auto
from typing import Any, Generic, Self, TypeVar, overload

from attrs import frozen

T = TypeVar("T")


class RefusedError(Exception):
    """A value cannot be accepted; `reason` is worded as Redis words it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Trait(Flag):
    """What is special about a directive."""

    NONE = 0
    IMMUTABLE = auto()
    """It can be set at start only."""
    PROTECTED = auto()
    """CONFIG SET needs `enable-protected-configs`."""
    SENSITIVE = auto()
    """Its value must not reach the slow log, MONITOR or the log file."""
    HIDDEN = auto()
    """CONFIG GET shows it only when asked for by its exact name."""
    NOT_WHILE_LOADING = auto()
    """CONFIG SET waits until the data set is loaded."""
    VOLATILE = auto()
    """What it names may change under it, so setting the same value again is a change too."""
    UNSUPPORTED = auto()
    """It is accepted and shown, but nothing here obeys it."""


@frozen
class RewriteLine:
    """The arguments of a line for CONFIG REWRITE; a forced one is added where there was none."""

    arguments: str
    forced: bool


class Kind(Generic[T]):
    """How values of one sort are read from words and written back."""

    #: The value may consist of several words.
    takes_many_words = False

    #: The arguments that stand for an absent value.
    absent_arguments = '""'

    def parse(self, words: Sequence[str], current: T) -> T:
        """Read a value; `current` is what it replaces. Raises `RefusedError`."""
        raise NotImplementedError

    def parse_in_file(self, words: Sequence[str], current: T, is_first: bool) -> T:
        """Read a value in a configuration file, where a directive may stand on several lines."""
        return self.parse(words, current)

    def text(self, value: T) -> str:
        """The value as CONFIG GET shows it; CONFIG SET accepts that text."""
        raise NotImplementedError

    def rewrite_lines(self, value: T, default: T) -> list[RewriteLine]:
        """What stands in a configuration file for this value; no lines if it has to be absent."""
        return [RewriteLine(self.text(value), forced=value != default)]

    def hint(self) -> str:
        """Which values are possible, for the example file; empty if anything goes."""
        return ""


class Directive(Generic[T]):
    """One directive; as a class attribute it declares, on an instance it is the typed value."""

    def __init__(
        self,
        name: str,
        kind: Kind[T],
        default: T,
        doc: str,
        traits: Trait = Trait.NONE,
        *,
        alias: str | None = None,
        validate: Callable[[T], str | None] | None = None,
        normalize: Callable[[T], T] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.doc = doc
        self.traits = traits
        self.alias = alias
        self._validate = validate
        self._normalize = normalize
        self.attribute = ""
        self.section = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute
        self.section = getattr(owner, "section", "")

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        # Python comes here for an instance only as long as its __dict__ holds no value.
        return self if instance is None else self.default

    def has(self, trait: Trait) -> bool:
        """Whether the directive has one of these traits."""
        return bool(self.traits & trait)

    @property
    def supported(self) -> bool:
        """Whether anything here obeys the directive."""
        return not self.has(Trait.UNSUPPORTED)

    def parse(self, words: Sequence[str], current: T) -> T:
        """Read and check a value given to CONFIG SET. Raises `RefusedError`."""
        return self._checked(self.kind.parse(words, current))

    def parse_in_file(self, words: Sequence[str], current: T, is_first: bool) -> T:
        """Read and check a value given in a file or on the command line. Raises `RefusedError`."""
        return self._checked(self.kind.parse_in_file(words, current, is_first))

    def _checked(self, value: T) -> T:
        if self._validate is not None:
            reason = self._validate(value)
            if reason is not None:
                raise RefusedError(reason)
        return value if self._normalize is None else self._normalize(value)


# The table of all directives holds values of many types; each declaration is typed on its own.
AnyDirective = Directive[Any]


class Declarations:
    """Base of the classes that declare directives, one class a section."""

    section = ""

    @classmethod
    def directives(cls) -> list[AnyDirective]:
        """Every directive of the class and its bases, in the order of declaration."""
        found: list[AnyDirective] = []
        for base in cls._bases_in_order():
            found += [value for value in vars(base).values() if isinstance(value, Directive)]
        return found

    @classmethod
    def _bases_in_order(cls) -> list[type]:
        # The method resolution order lists a class before its bases, and those from left to right.
        return [base for base in cls.__mro__ if issubclass(base, Declarations)]
