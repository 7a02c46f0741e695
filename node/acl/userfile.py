"""The text of an `aclfile`: one user a line, and nothing else.

All or nothing: a file with any mistake is not used at all, and every mistake is told at once, since
an operator wants to mend them in one go. Secrets are never repeated.
"""

from collections.abc import Iterable

from .selectors import RuleError, UnknownNameError, has_blanks
from .users import UnmatchedParenthesisError, User, merge_selector_words

_BLANKS = b" \t\r\n"


class UserFileError(Exception):
    """A file that cannot be used; `text` lists its mistakes in one line."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


def write_users(users: Iterable[User]) -> bytes:
    """The text for these users."""
    return b"".join(user_line(user) + b"\n" for user in users)


def user_line(user: User) -> bytes:
    """One user as files and ACL LIST have it."""
    return b"user %b %b" % (user.name, user.describe())


def read_users_untrusted(text: bytes, path: bytes, *, opens_channels: bool) -> dict[bytes, User]:
    """The users in a file; raises UserFileError."""
    users: dict[bytes, User] = {}
    mistakes: list[bytes] = []
    for number, raw in enumerate(text.split(b"\n"), start=1):
        line = raw.strip(_BLANKS)
        if line:
            place = b"%b:%d" % (path, number)
            mistakes += _read_line(line.split(b" "), place, number, users, opens_channels)
    if mistakes:
        raise UserFileError(
            b"".join(mistakes) + b"WARNING: ACL errors detected, no change to the previously "
            b"active ACL rules was performed"
        )
    return users


def _read_line(
    words: list[bytes],
    place: bytes,
    number: int,
    users: dict[bytes, User],
    opens_channels: bool,
) -> list[bytes]:
    """Add the user of one line; returns what is wrong with it."""
    if words[0] != b"user" or len(words) < 2:
        return [b"%b should start with user keyword followed by the username. " % place]
    name = words[1]
    if has_blanks(name):
        return [b"'%b: username '%b' contains invalid characters. " % (place, name)]
    if name in users:
        return [b"WARNING: Duplicate user '%b' found on line %d. " % (name, number)]
    user = users[name] = User(name, opens_channels=opens_channels)
    try:
        rules = merge_selector_words(words[2:])
    except UnmatchedParenthesisError:
        return [b"%b: Unmatched parenthesis in selector definition." % place]
    mistakes: list[bytes] = []
    has_syntax_error = False
    for rule in rules:
        try:
            user.apply_unsettled(rule.strip(b"\t\r\n"))
        except UnknownNameError as failure:
            mistakes.append(
                b"%b: Error in applying operation '%b': %b. " % (place, rule, failure.text.encode())
            )
        except RuleError as failure:
            # Only the first: the others may come of it. The rule may be a password, so it is not
            # shown.
            if not has_syntax_error:
                mistakes.append(b"%b: %b. " % (place, failure.text.encode()))
            has_syntax_error = True
    user.settle()
    return mistakes
