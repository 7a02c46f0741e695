"""A user: whether and with what it may log in, and its selectors.

Rules:

* Passwords are kept as SHA-256 in hex, and compared in a time that tells nothing.
* `changed` makes a user with further rules, all or none; the users that clients hold are then
  brought to that state in place (`take_over`), so that nobody keeps old rights.
"""

from collections.abc import Iterable, Sequence
from enum import Flag, auto
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from ..registry import Command
from .access import READ
from .denials import Denial, Reason
from .selectors import Matcher, RuleError, Selector, make_selector

DEFAULT_NAME: Final = b"default"
_HASH_LENGTH: Final = 64
_HEX: Final = frozenset(b"0123456789abcdef")
_NO_SUCH_HASH: Final = "0" * _HASH_LENGTH


class UserFlag(Flag):
    """What holds for the user as a whole; in the order in which it is shown."""

    ON = auto()
    OFF = auto()
    NOPASS = auto()
    SKIP_SANITIZE_PAYLOAD = auto()
    SANITIZE_PAYLOAD = auto()

    @property
    def word(self) -> bytes:
        """The rule that sets it."""
        return (self.name or "").lower().replace("_", "-").encode()


#: Rules that set one flag and take another away.
_SWITCHES: Final = {
    b"on": (UserFlag.ON, UserFlag.OFF),
    b"off": (UserFlag.OFF, UserFlag.ON),
    b"sanitize-payload": (UserFlag.SANITIZE_PAYLOAD, UserFlag.SKIP_SANITIZE_PAYLOAD),
    b"skip-sanitize-payload": (UserFlag.SKIP_SANITIZE_PAYLOAD, UserFlag.SANITIZE_PAYLOAD),
}


class UnmatchedParenthesisError(Exception):
    """A selector that is never closed; `word` is where it begins."""

    def __init__(self, word: bytes) -> None:
        super().__init__(word)
        self.word = word


class BadRuleError(Exception):
    """The first rule of several that could not be obeyed, and why."""

    def __init__(self, rule: bytes, cause: RuleError) -> None:
        super().__init__(rule, cause.text)
        self.rule = rule
        self.cause = cause


def hash_password(password: bytes) -> str:
    """How a password is kept."""
    return sha256(password).hexdigest()


def merge_selector_words(words: Sequence[bytes]) -> list[bytes]:
    """Join the words of selectors that were cut at their blanks: `(+get`, `~a)`."""
    merged: list[bytes] = []
    opened: list[bytes] = []
    for word in words:
        if opened:
            opened.append(word)
            if word.endswith(b")"):
                merged.append(b" ".join(opened))
                opened = []
        elif word.startswith(b"(") and not word.endswith(b")"):
            opened = [word]
        else:
            merged.append(word)
    if opened:
        raise UnmatchedParenthesisError(opened[0])
    return merged


class User:
    """One user. A new one is off, without passwords, and may do nothing."""

    __slots__ = (
        "_one_key",
        "_opens_channels",
        "flags",
        "is_unrestricted",
        "name",
        "passwords",
        "selectors",
        "unchecked",
    )

    def __init__(self, name: bytes, *, opens_channels: bool) -> None:
        self.name = name
        self.flags = UserFlag.OFF | UserFlag.SANITIZE_PAYLOAD
        self.passwords: list[str] = []
        #: The first one is the root, which rules outside of parentheses are about.
        self.selectors = [Selector(has_all_channels=opens_channels)]
        #: `acl-pubsub-default`: new selectors may use all channels.
        self._opens_channels = opens_channels
        #: Whether nothing this user does needs checking.
        self.is_unrestricted = False
        #: Commands that are allowed whatever their words are.
        self.unchecked: frozenset[str] = frozenset()
        #: Command of one key -> the patterns of keys that it may use; found when first asked for.
        self._one_key: dict[str, list[Matcher]] = {}
        self.settle()

    def copy(self, *, opens_channels: bool) -> "User":
        """A user of its own with the same rules."""
        twin = User(self.name, opens_channels=opens_channels)
        twin.take_over(self)
        return twin

    def take_over(self, other: "User") -> None:
        """Have the rules of another user from now on."""
        self.flags = other.flags
        self.passwords = list(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]
        self.settle()

    def changed(self, rules: Iterable[bytes], *, opens_channels: bool) -> "User":
        """A copy with further rules; raises BadRuleError."""
        twin = self.copy(opens_channels=opens_channels)
        for rule in rules:
            try:
                twin.apply_unsettled(rule)
            except RuleError as failure:
                raise BadRuleError(rule, failure) from None
        twin.settle()
        return twin

    # --- rules -------------------------------------------------------------------------------

    def apply_unsettled(self, rule: bytes) -> None:
        """Obey one rule, or raise RuleError and change nothing; `settle` must follow the last."""
        word = rule.lower()
        switch = _SWITCHES.get(word)
        if not rule:
            return
        if switch is not None:
            wanted, opposite = switch
            self.flags = (self.flags | wanted) & ~opposite
        elif word == b"nopass":
            self.flags |= UserFlag.NOPASS
            self.passwords.clear()
        elif word == b"resetpass":
            self.flags &= ~UserFlag.NOPASS
            self.passwords.clear()
        elif rule[:1] in (b">", b"#"):
            password = _hash_of(rule)
            if password not in self.passwords:
                self.passwords.append(password)
            self.flags &= ~UserFlag.NOPASS
        elif rule[:1] in (b"<", b"!"):
            password = _hash_of(rule)
            if password not in self.passwords:
                raise RuleError(
                    "The password you are trying to remove from the user does not exist"
                )
            self.passwords.remove(password)
        elif rule.startswith(b"(") and rule.endswith(b")"):
            self.selectors.append(make_selector(rule[1:-1], has_all_channels=self._opens_channels))
        elif word == b"clearselectors":
            del self.selectors[1:]
        elif word == b"reset":
            self.flags = UserFlag.OFF | UserFlag.SANITIZE_PAYLOAD
            self.passwords.clear()
            self.selectors = [Selector(has_all_channels=self._opens_channels)]
        else:
            self.selectors[0].apply(rule)

    def settle(self) -> None:
        """Prepare for quick decisions."""
        self.is_unrestricted = any(selector.is_unrestricted for selector in self.selectors)
        self.unchecked = frozenset().union(
            *(selector.allowed_with_any_words() for selector in self.selectors)
        )
        self._one_key.clear()

    # --- rule texts --------------------------------------------------------------------------

    def describe(self) -> bytes:
        """All rules, as they can be given again."""
        root, *others = (selector.describe() for selector in self.selectors)
        return b" ".join(
            [
                *(flag.word for flag in UserFlag if flag in self.flags),
                *(b"#" + password.encode() for password in self.passwords),
                root,
                *(b"(" + other + b")" for other in others),
            ]
        )

    # --- decisions ---------------------------------------------------------------------------

    @property
    def needs_no_password(self) -> bool:
        """Whether any password will do."""
        return UserFlag.NOPASS in self.flags

    @property
    def is_on(self) -> bool:
        """Whether anybody can log in as this user."""
        return UserFlag.ON in self.flags

    def accepts(self, password: bytes) -> bool:
        """Whether somebody with that password is let in; takes as long either way."""
        given = hash_password(password)
        fits = False
        for known in self.passwords or (_NO_SUCH_HASH,):
            fits = compare_digest(known, given) or fits
        return self.is_on and (fits or self.needs_no_password)

    def maybe_denial(self, command: Command, args: Sequence[bytes]) -> Denial | None:
        """What speaks against a request; None allows it."""
        if command.full_name in self.unchecked:
            return None
        worst = Denial(Reason.COMMAND)
        for selector in self.selectors:
            denial = selector.maybe_denial(command, args)
            if denial is None:
                return None
            if (denial.reason, denial.position) > (worst.reason, worst.position):
                worst = denial
        return worst

    def may_use_key(self, name: str, key: bytes) -> bool:
        """Whether a command that has this one key may be run; False: only a closer look can tell.

        The quick way for what clients do most.
        """
        matchers = self._one_key.get(name)
        if matchers is None:
            matchers = self._one_key[name] = [
                matches for selector in self.selectors for matches in selector.key_matchers(name)
            ]
        for matches in matchers:  # noqa: SIM110 - `any` costs a generator for each key.
            if matches(key):
                return True
        return False

    def may_read_any_key(self, command: Command, args: Sequence[bytes]) -> bool:
        """Whether a request is allowed that may also read keys that its words do not name."""
        return any(
            selector.maybe_denial(command, args) is None and selector.has_every_key(READ)
            for selector in self.selectors
        )


def _hash_of(rule: bytes) -> str:
    """The hash that a rule about a password means."""
    if rule[:1] in (b">", b"<"):
        return hash_password(rule[1:])
    given = rule[1:]
    if len(given) != _HASH_LENGTH or not _HEX.issuperset(given):
        raise RuleError(
            "The password hash must be exactly 64 characters and contain only lowercase "
            "hexadecimal characters"
        )
    return given.decode()


def make_default_user() -> User:
    """The default user as it is when nothing is said about it: everybody, and free to do all."""
    rules = (b"+@all", b"~*", b"&*", b"on", b"nopass")
    return User(DEFAULT_NAME, opens_channels=True).changed(rules, opens_channels=True)
