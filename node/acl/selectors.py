"""One set of permissions: commands, keys and channels. A user has a root selector and maybe more.

Rules about commands are kept as they were given, less those that later ones make void, so that the
rule text that ACL LIST shows makes the same permissions again, now and in later versions.
"""

from collections.abc import Callable, Sequence
from typing import Final

from ..config.syntax import bytes_from, maybe_split_words, text_from
from ..registry import Command, Flag
from ..values.glob import compile_glob
from . import catalog as commands
from .access import (
    NO_ACCESS,
    READ,
    READ_WRITE,
    SUBSCRIBING_TO_PATTERNS,
    VARYING,
    WITH_CHANNELS,
    WRITE,
    Access,
    channel_positions,
    key_accesses,
)
from .denials import Denial, Reason

_BLANKS: Final = frozenset(b" \t\n\v\f\r\0")
_SIGILS: Final = {READ_WRITE: b"~", READ: b"%R~", WRITE: b"%W~"}
_LETTERS: Final = {0x52: READ, 0x72: READ, 0x57: WRITE, 0x77: WRITE}
_TILDE: Final = 0x7E


#: Tells whether a key fits a pattern.
Matcher = Callable[[bytes], bool]


class RuleError(Exception):
    """A rule that cannot be obeyed; `text` is the reason in Redis' words."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class UnknownNameError(RuleError):
    """The rule names a command or a category that does not exist."""

    def __init__(self) -> None:
        super().__init__("Unknown command or category name in ACL")


def _syntax_error() -> RuleError:
    return RuleError("Syntax error")


def _pattern_after_all(flag: str, reset: str, what: str) -> RuleError:
    return RuleError(
        f"Adding a pattern after the * pattern (or the '{flag}' flag) is not valid and does not "
        f"have any effect. Try '{reset}' to start with an empty list of {what}"
    )


def has_blanks(text: bytes) -> bool:
    """Names and patterns with blanks or NULs could not be written into a file and read back."""
    return not _BLANKS.isdisjoint(text)


class Selector:
    """Permissions that hold together: a request is allowed if one selector allows all of it."""

    __slots__ = (
        "_key_matchers",
        "allowed",
        "channels",
        "first_words",
        "has_all_channels",
        "has_all_commands",
        "has_all_keys",
        "has_future_commands",
        "key_patterns",
        "rules",
    )

    def __init__(self, *, has_all_channels: bool) -> None:
        #: Full names of commands.
        self.allowed: set[str] = set()
        self.has_all_commands = False
        #: Whether the rules began with `+@all`, so that what comes to be later is allowed too.
        self.has_future_commands = False
        #: Command -> first words (lower case) with which it is allowed although it is not else.
        self.first_words: dict[str, list[str]] = {}
        #: The rules about commands since the last `+@all` or `-@all`.
        self.rules: list[str] = []
        self.has_all_keys = False
        self.key_patterns: dict[bytes, Access] = {}
        self.has_all_channels = has_all_channels
        self.channels: list[bytes] = []
        self._key_matchers: dict[Access, list[Matcher]] = {}

    def copy(self) -> "Selector":
        """A selector of its own with the same permissions."""
        twin = Selector(has_all_channels=self.has_all_channels)
        twin.allowed = set(self.allowed)
        twin.has_all_commands = self.has_all_commands
        twin.has_future_commands = self.has_future_commands
        twin.first_words = {name: list(words) for name, words in self.first_words.items()}
        twin.rules = list(self.rules)
        twin.has_all_keys = self.has_all_keys
        twin.key_patterns = dict(self.key_patterns)
        twin.channels = list(self.channels)
        return twin

    @property
    def is_unrestricted(self) -> bool:
        """Whether it allows whatever there is."""
        return self.has_all_commands and self.has_all_keys and self.has_all_channels

    # --- rules -------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Obey one rule, or raise RuleError and change nothing."""
        word = rule.lower()
        if word in (b"allkeys", b"~*", b"resetkeys"):
            self.has_all_keys = word != b"resetkeys"
            self.key_patterns.clear()
            self._key_matchers.clear()
        elif word in (b"allchannels", b"&*", b"resetchannels"):
            self.has_all_channels = word != b"resetchannels"
            self.channels.clear()
        elif word in (b"allcommands", b"+@all"):
            self._begin_commands(commands.catalog().names, has_all=True)
        elif word in (b"nocommands", b"-@all"):
            self._begin_commands((), has_all=False)
        elif rule[:1] in (b"~", b"%"):
            self._add_key_pattern(rule)
        elif rule[:1] == b"&":
            self._add_channel(rule[1:])
        elif rule[:2] in (b"+@", b"-@"):
            self._change_category(word[2:].decode("latin-1"), allow=rule[:1] == b"+")
        elif rule[:1] in (b"+", b"-"):
            self._change_command(word[1:].decode("latin-1"), allow=rule[:1] == b"+")
        else:
            raise _syntax_error()

    def _add_key_pattern(self, rule: bytes) -> None:
        if self.has_all_keys:
            raise _pattern_after_all("allkeys", "resetkeys", "patterns")
        access, start = READ_WRITE, 1
        if rule[:1] == b"%":
            access, start = _read_access(rule)
        pattern = rule[start:]
        if has_blanks(pattern):
            raise _syntax_error()
        self.key_patterns[pattern] = self.key_patterns.get(pattern, NO_ACCESS) | access
        self._key_matchers.clear()

    def _add_channel(self, pattern: bytes) -> None:
        if self.has_all_channels:
            raise _pattern_after_all("allchannels", "resetchannels", "channels")
        if has_blanks(pattern):
            raise _syntax_error()
        if pattern not in self.channels:
            self.channels.append(pattern)

    def _begin_commands(self, allowed: Sequence[str] | frozenset[str], *, has_all: bool) -> None:
        self.allowed = set(allowed)
        self.has_all_commands = self.has_future_commands = has_all
        self.first_words.clear()
        self.rules.clear()

    def _change_category(self, category: str, *, allow: bool) -> None:
        names = commands.catalog().categories.get(category)
        if names is None:
            raise UnknownNameError
        self._note_rule(f"@{category}", allow=allow)
        self._change(names, allow=allow)

    def _change_command(self, name: str, *, allow: bool) -> None:
        book = commands.catalog()
        parent, bar, first_word = name.rpartition("|")
        if bar and allow:
            container = book.maybe_command(parent)
            if container is None:
                raise UnknownNameError
            if "|" in container:
                raise RuleError("Allowing first-arg of a subcommand is not supported")
            if not first_word:
                raise _syntax_error()
            if container not in book.containers:
                self._note_rule(name, allow=True)
                words = self.first_words.setdefault(container, [])
                if first_word not in words:
                    words.append(first_word)
                return
        command = book.maybe_command(name)
        if command is None:
            raise UnknownNameError
        self._note_rule(command, allow=allow)
        self._change(book.families[command], allow=allow)

    def _change(self, names: frozenset[str], *, allow: bool) -> None:
        if allow:
            self.allowed |= names
        else:
            self.allowed -= names
            if names:
                self.has_all_commands = False
        for name in names.intersection(self.first_words):
            del self.first_words[name]

    def _note_rule(self, name: str, *, allow: bool) -> None:
        """Keep a rule, in place of those about the same command, its sub-commands included."""
        self.rules = [
            rule for rule in self.rules if rule[1:] != name and not rule[1:].startswith(f"{name}|")
        ]
        self.rules.append(("+" if allow else "-") + name)

    # --- rule texts --------------------------------------------------------------------------

    def describe_commands(self) -> bytes:
        """The rules about commands."""
        first = "+@all" if self.has_future_commands else "-@all"
        return " ".join([first, *self.rules]).encode("latin-1")

    def describe_keys(self) -> bytes:
        """The rules about keys."""
        if self.has_all_keys:
            return b"~*"
        return b" ".join(_SIGILS[access] + pattern for pattern, access in self.key_patterns.items())

    def describe_channels(self) -> bytes:
        """The rules about channels."""
        if self.has_all_channels:
            return b"&*"
        return b" ".join(b"&" + pattern for pattern in self.channels)

    def describe(self) -> bytes:
        """All rules, as they can be given again."""
        keys, channels = self.describe_keys(), self.describe_channels()
        if not self.has_all_channels:
            channels = b"resetchannels " + channels if channels else b"resetchannels"
        return b" ".join(part for part in (keys, channels, self.describe_commands()) if part)

    # --- decisions ---------------------------------------------------------------------------

    def allows_command(self, command: Command, args: Sequence[bytes]) -> bool:
        """Whether the command may be run at all, with its first word."""
        if self.has_all_commands or command.full_name in self.allowed:
            return True
        if Flag.NO_AUTH in command.flags:
            return True
        first_words = self.first_words.get(command.full_name)
        if first_words is None or len(args) < 2:
            return False
        return args[1].lower().decode("latin-1") in first_words

    def allowed_with_any_words(self) -> frozenset[str]:
        """The commands for which nothing but their name needs to be looked at."""
        book = commands.catalog()
        names = frozenset(self.allowed)
        if not self.has_all_keys:
            names -= book.with_keys
        return names if self.has_all_channels else names - WITH_CHANNELS

    def allows_key(self, key: bytes, access: Access) -> bool:
        """Whether a key may be used in such a way."""
        if self.has_all_keys:
            return True
        matchers = self._matchers_for(access)
        for matches in matchers:  # noqa: SIM110 - `any` costs a generator for each key.
            if matches(key):
                return True
        return False

    def _matchers_for(self, access: Access) -> list[Matcher]:
        matchers = self._key_matchers.get(access)
        if matchers is None:
            matchers = self._key_matchers[access] = [
                compile_glob(pattern)
                for pattern, granted in self.key_patterns.items()
                if granted & access == access
            ]
        return matchers

    def key_matchers(self, name: str) -> list[Matcher]:
        """What tells the keys that a command of one key may use whatever its options are.

        None: it may not, or it is not so plain.
        """
        access = READ_WRITE if name in VARYING else commands.catalog().sole_access.get(name)
        if access is None or name not in self.allowed or self.has_all_keys:
            return []
        return self._matchers_for(access)

    def _allows_plain_keys(self, command: Command, args: Sequence[bytes]) -> bool:
        """Whether all is well with the keys, as far as that can be told quickly."""
        keys_of = command.keys_of
        if keys_of is None:
            return True
        access = commands.catalog().sole_access.get(command.full_name)
        if access is None:
            return False
        for key in keys_of(args):  # noqa: SIM110 - as below.
            if not self.allows_key(key, access):
                return False
        return True

    def has_every_key(self, access: Access) -> bool:
        """Whether any key whatsoever may be used in such a way."""
        return self.has_all_keys or self.key_patterns.get(b"*", NO_ACCESS) & access == access

    def allows_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        """Whether a channel may be used; a pattern to subscribe to must itself be a rule."""
        if self.has_all_channels:
            return True
        return channel_allowed(self.channels, channel, is_pattern=is_pattern)

    def maybe_denial(self, command: Command, args: Sequence[bytes]) -> Denial | None:
        """What speaks against a request; None allows it."""
        if not self.allows_command(command, args):
            return Denial(Reason.COMMAND)
        if not self.has_all_keys and not self._allows_plain_keys(command, args):
            for position, access in key_accesses(command, args):
                if not self.allows_key(args[position], access):
                    return Denial(Reason.KEY, position)
        if not self.has_all_channels and command.full_name in WITH_CHANNELS:
            is_pattern = command.full_name in SUBSCRIBING_TO_PATTERNS
            for position in channel_positions(command.full_name, args):
                if not self.allows_channel(args[position], is_pattern=is_pattern):
                    return Denial(Reason.CHANNEL, position)
        return None


def channel_allowed(allowed: Sequence[bytes], channel: bytes, *, is_pattern: bool) -> bool:
    """Whether one of the patterns allows a channel, or is the pattern that is asked for."""
    if is_pattern:
        return channel in allowed
    return any(compile_glob(pattern)(channel) for pattern in allowed)


def make_selector(words: bytes, *, has_all_channels: bool) -> Selector:
    """The selector that stands between parentheses; raises RuleError."""
    selector = Selector(has_all_channels=has_all_channels)
    # What has unbalanced quotes counts as nothing, as with Redis.
    for word in maybe_split_words(text_from(words)) or ():
        selector.apply(bytes_from(word))
    return selector


def _read_access(rule: bytes) -> tuple[Access, int]:
    """What `%R~`, `%W~` or `%RW~` grants, and where the pattern begins."""
    access = NO_ACCESS
    for place in range(1, len(rule)):
        granted = _LETTERS.get(rule[place], NO_ACCESS)
        if granted and not access & granted:
            access |= granted
        elif rule[place] == _TILDE and access:
            return access, place + 1
        else:
            raise _syntax_error()
    if not access:
        raise _syntax_error()
    return access, len(rule)
