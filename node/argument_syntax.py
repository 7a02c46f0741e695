"""The small language in which commands declare their arguments, and the tree that it stands for.

    key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]

A declaration is read once; what is wrong with it is an `ArgumentSyntaxError` at import time. The
tree is what COMMAND DOCS shows and what the tools make their hints and tables of.

* A word in lower case is an argument. Its type follows from its name, or is written behind it:
  `destination:key`. Names are unique among neighbours; only in a choice may two have one name, if
  their tokens differ.
* A word without lower-case letters is a token, to be typed as it stands. It belongs to the
  arguments right behind it: `LIMIT offset count` is one block that starts with LIMIT (outside of
  groups, a group belongs to a token only if it comes first). A token with nothing behind it stands
  for itself.
* `[x]` is optional, `(x)` holds together, `x...` may be repeated. Behind a group, the repetition
  includes the group's token: `[GET pattern]...` against `[WEIGHTS weight...]`.
* `a|b` is a choice between the two words beside the bar, of which a token brings its arguments
  along: `FROMMEMBER member|FROMLONLAT longitude latitude`. A choice of bare tokens ends with the
  word: `BEFORE|AFTER pivot` is a choice and an argument. Inside a group that could be read both
  ways, so there parentheses must say which is meant.
* Groups and choices get a name from their token or from what is in them, or a given one:
  `trim:block(...)`, `condition:oneof(NX|XX)`.
"""

import re
from enum import Enum
from typing import Final, NoReturn

from attrs import define, field, frozen


class ArgumentType(Enum):
    """What an argument is; the values are those of COMMAND DOCS."""

    KEY = "key"
    STRING = "string"
    INTEGER = "integer"
    DOUBLE = "double"
    PATTERN = "pattern"
    UNIX_TIME = "unix-time"
    PURE_TOKEN = "pure-token"
    ONEOF = "oneof"
    BLOCK = "block"


@frozen
class Argument:
    """One argument, or a group of them."""

    name: str
    type: ArgumentType
    token: str | None = None
    is_optional: bool = False
    is_multiple: bool = False
    #: Each repetition starts with the token again.
    is_multiple_token: bool = False
    #: What a block consists of, or what a choice is between.
    arguments: tuple["Argument", ...] = ()


class ArgumentSyntaxError(ValueError):
    """A declaration that cannot be read."""


_WORDS: Final = re.compile(r"\s*(\.{3}|[\[\]()|]|(?:(?!\.{3})[^\s\[\]()|])+)")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")
_TYPES: Final = {kind.value: kind for kind in ArgumentType}
_GROUPS: Final = frozenset({ArgumentType.ONEOF, ArgumentType.BLOCK})

_TYPES_BY_NAME: Final = {
    ArgumentType.INTEGER: (
        "bit bytes columns count cursor db db-index destination-db end entries-added entries-read "
        "frequency idle-time index interval len length limit maxlen milliseconds min-idle-time "
        "min-match-len ms numkeys numlocal numreplicas offset port position priority protover "
        "rank replicas seconds slot start stop ttl"
    ),
    ArgumentType.DOUBLE: "height latitude longitude max min radius score timeout weight width",
    ArgumentType.UNIX_TIME: "unix-time unix-time-milliseconds unix-time-seconds",
}
_DEFAULT_TYPES: Final = {
    name: kind for kind, names in _TYPES_BY_NAME.items() for name in names.split()
}
#: What a token that is no word is called.
_SYMBOLS: Final = {
    "=": "equal",
    "~": "approximately",
    "*": "automatic",
    "$": "last",
    ">": "new",
    "+": "greatest",
    "-": "smallest",
    '""': "empty",
}
#: What well-known choices are called.
_CHOICES: Final = {
    frozenset(tokens.split()): name
    for tokens, name in (
        ("NX XX", "condition"),
        ("GT LT", "comparison"),
        ("NX XX GT LT", "condition"),
        ("FNX FXX", "condition"),
        ("ASC DESC", "order"),
        ("BYTE BIT", "unit"),
        ("M KM FT MI", "unit"),
        ("LEFT RIGHT", "where"),
        ("MIN MAX", "where"),
        ("BEFORE AFTER", "where"),
        ("SUM MIN MAX", "aggregate"),
        ("AND OR XOR NOT", "operation"),
        ("MAXLEN MINID", "strategy"),
        ("= ~", "operator"),
        ("ASYNC SYNC", "flush-type"),
        ("BYSCORE BYLEX", "sort-by"),
        ("WRAP SAT FAIL", "overflow"),
        ("ON OFF", "status"),
        ("YES NO", "answer"),
    )
}
_LONGEST_NAME_PARTS: Final = 3


def parse_arguments(text: str) -> tuple[Argument, ...]:
    """The arguments that a declaration stands for."""
    parser = _Parser(text)
    drafts = parser.sequence("")
    if parser.peek():
        parser.fail(f"nothing opens this {parser.peek()!r}")
    return parser.seal(drafts)


@define(eq=False)
class _Draft:
    """An argument whose flags, and whose name if nobody gave it one, are still open."""

    name: str
    type: ArgumentType
    has_given_name: bool = True
    token: str | None = None
    is_optional: bool = False
    is_multiple: bool = False
    is_multiple_token: bool = False
    parts: list["_Draft"] = field(factory=list)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words = _WORDS.findall(text)
        self._position = 0
        self._depth = 0

    # --- words -----------------------------------------------------------------------------------

    def fail(self, reason: str) -> NoReturn:
        """Give up, pointing at the word."""
        read = " ".join(self._words[: self._position])
        raise ArgumentSyntaxError(f"{reason}, behind {read!r} in {self._text!r}")

    def peek(self, ahead: int = 0) -> str:
        """A word to come, or nothing at the end."""
        position = self._position + ahead
        return self._words[position] if position < len(self._words) else ""

    def _next(self) -> str:
        word = self.peek()
        self._position += 1
        return word

    def _skip(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self._position += 1
        return True

    def _at_token(self) -> bool:
        word = self.peek()
        return bool(word) and word not in ("[", "]", "(", ")", "|", "...") and word == word.upper()

    def _at_value_of_token(self, *, is_first: bool) -> bool:
        """At something that belongs to the token before it."""
        word = self.peek()
        if word == "(":
            # Outside of groups nothing tells where the token's arguments end but the next group.
            return is_first or self._depth > 0
        return bool(word) and word[0].islower()

    # --- grammar ---------------------------------------------------------------------------------

    def sequence(self, closer: str) -> list[_Draft]:
        """Everything up to the end of the group."""
        start = self._position
        drafts: list[_Draft] = []
        while self.peek() not in (closer, "", "]", ")"):
            is_first = self._position == start
            drafts.append(self._choice(closer if is_first else ""))
        return drafts

    def _choice(self, closer: str) -> _Draft:
        """One item, or a choice between several; `closer` ends the group that may be all of it."""
        is_bare = self._at_token() and self.peek(1) == "|"
        alternatives = [self._unit(takes_values=not is_bare)]
        is_bare = is_bare or alternatives[0].token is None
        while self._skip("|"):
            ends_in_token = self._at_token()
            alternatives.append(self._unit(takes_values=not is_bare))
        if len(alternatives) == 1:
            return alternatives[0]
        if is_bare and closer and ends_in_token and self._only_values_until(closer):
            self.fail("part of a choice, or behind it? Say so with parentheses")
        return self._make_choice(alternatives)

    def _only_values_until(self, closer: str) -> bool:
        ahead = 0
        while (word := self.peek(ahead)) and word[0].islower():
            ahead += 1
        return ahead > 0 and self.peek(ahead) == closer

    def _unit(self, *, takes_values: bool) -> _Draft:
        """A group, an argument, or a token, with the arguments that belong to it."""
        if not self._at_token():
            return self._value()
        token = self._next()
        values: list[_Draft] = []
        if takes_values:
            if self._at_token() and self.peek(1) == "|":
                values.append(self._choice(""))
            while self._at_value_of_token(is_first=not values):
                values.append(self._value())
        if not values:
            name = _SYMBOLS.get(token) or token.lower()
            return _Draft(name, ArgumentType.PURE_TOKEN, token=token)
        # Only an argument without a token of its own can carry this one.
        alone = len(values) == 1 and values[0].token is None
        draft = values[0] if alone else self._make_block(values)
        draft.token = token
        if not draft.has_given_name:
            draft.name = token.lower()
        return draft

    def _value(self) -> _Draft:
        """An argument or a group, and whether it is repeated."""
        word = self._next()
        if word == "[":
            draft = self._group("]")
            draft.is_optional = True
        elif word == "(":
            draft = self._group(")")
        elif not word or not word[0].islower():
            self._position -= 1
            self.fail("an argument is missing" if not word else f"{word!r} cannot stand here")
        else:
            draft = self._named(word)
        if self._skip("..."):
            if draft.is_multiple:
                inner, draft = draft, self._make_block([draft])
                inner.is_optional, draft.is_optional = False, inner.is_optional
            draft.is_multiple = True
            draft.is_multiple_token = (
                draft.token is not None and draft.type is not ArgumentType.PURE_TOKEN
            )
        return draft

    def _group(self, closer: str) -> _Draft:
        self._depth += 1
        drafts = self.sequence(closer)
        self._depth -= 1
        if not drafts:
            self.fail("an empty group")
        if not self._skip(closer):
            self.fail(f"a {closer!r} is missing")
        return drafts[0] if len(drafts) == 1 else self._make_block(drafts)

    def _named(self, word: str) -> _Draft:
        name, _, kind_name = word.partition(":")
        if not _NAME.fullmatch(name):
            self.fail(f"{name!r} is no name")
        kind = _TYPES.get(kind_name) if kind_name else _default_type(name)
        if kind is None:
            self.fail(f"{kind_name!r} is no type")
        if kind not in _GROUPS:
            return _Draft(name, kind)
        if not self._skip("("):
            self.fail(f"a {kind_name} needs parentheses")
        draft = self._group(")")
        if kind is ArgumentType.BLOCK and (draft.type is not kind or draft.has_given_name):
            draft = self._make_block([draft])
        if draft.type is not kind:
            self.fail("this is no choice")
        draft.name, draft.has_given_name = name, True
        return draft

    # --- building --------------------------------------------------------------------------------

    def _make_block(self, parts: list[_Draft]) -> _Draft:
        is_short = len(parts) <= _LONGEST_NAME_PARTS
        name = "-".join(part.name for part in parts) if is_short else "group"
        return _Draft(name, ArgumentType.BLOCK, has_given_name=False, parts=parts)

    def _make_choice(self, alternatives: list[_Draft]) -> _Draft:
        name = _CHOICES.get(frozenset(part.token or "" for part in alternatives))
        if name is None and len(alternatives) <= _LONGEST_NAME_PARTS:
            name = "-or-".join(part.name for part in alternatives)
        return _Draft(
            name or "choice", ArgumentType.ONEOF, has_given_name=False, parts=alternatives
        )

    def seal(self, drafts: list[_Draft], *, are_choice: bool = False) -> tuple[Argument, ...]:
        """Make records of the drafts; each gets a name that no neighbour has."""
        seen: set[tuple[str, str | None]] = set()
        for draft in drafts:
            if not draft.has_given_name:
                continue
            # Only one of a choice is ever there, and its token tells which.
            identity = (draft.name, draft.token if are_choice else None)
            if identity in seen:
                self.fail(f"two neighbours are called {draft.name!r}")
            seen.add(identity)
        taken = {name for name, _ in seen}
        return tuple(self._seal_one(draft, taken) for draft in drafts)

    def _seal_one(self, draft: _Draft, taken: set[str]) -> Argument:
        name = draft.name
        if not draft.has_given_name:
            number = 1
            while name in taken:
                number += 1
                name = f"{draft.name}-{number}"
            taken.add(name)
        return Argument(
            name,
            draft.type,
            draft.token,
            draft.is_optional,
            draft.is_multiple,
            draft.is_multiple_token,
            self.seal(draft.parts, are_choice=draft.type is ArgumentType.ONEOF),
        )


def _default_type(name: str) -> ArgumentType:
    """What an argument of that name is when nothing else is said."""
    if name.endswith("key"):
        return ArgumentType.KEY
    if name.endswith("pattern"):
        return ArgumentType.PATTERN
    return _DEFAULT_TYPES.get(name, ArgumentType.STRING)
