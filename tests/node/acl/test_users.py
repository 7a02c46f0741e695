"""Users: logging in, rules of the whole user, files of users."""

import pytest

from clustrio.node.acl.userfile import UserFileError, read_users_untrusted, write_users
from clustrio.node.acl.users import (
    BadRuleError,
    UnmatchedParenthesisError,
    User,
    hash_password,
    make_default_user,
    merge_selector_words,
)

SECRET = hash_password(b"secret")


def user(rules: str) -> User:
    words = merge_selector_words([word.encode() for word in rules.split()])
    return User(b"alice", opens_channels=False).changed(words, opens_channels=False)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ("", "off sanitize-payload resetchannels -@all"),
        ("on nopass", "on nopass sanitize-payload resetchannels -@all"),
        ("on nopass >secret", f"on sanitize-payload #{SECRET} resetchannels -@all"),
        (">secret >secret", f"off sanitize-payload #{SECRET} resetchannels -@all"),
        (f"#{SECRET} <secret", "off sanitize-payload resetchannels -@all"),
        (f">secret !{SECRET}", "off sanitize-payload resetchannels -@all"),
        (">secret nopass", "off nopass sanitize-payload resetchannels -@all"),
        ("skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
        (
            "(+get ~a) ( +set )",
            "off sanitize-payload resetchannels -@all "
            "(~a resetchannels -@all +get) (resetchannels -@all +set)",
        ),
        ("(+get) clearselectors", "off sanitize-payload resetchannels -@all"),
        ("on nopass ~* &* +@all (+get) reset", "off sanitize-payload resetchannels -@all"),
    ],
)
def test_rules_read_as(rules: str, text: str) -> None:
    assert user(rules).describe() == text.encode()
    assert user(text).describe() == text.encode()


@pytest.mark.parametrize(
    ("rules", "rule", "reason"),
    [
        ("", "<secret", "The password you are trying to remove from the user does not exist"),
        ("", "#abc", "The password hash must be exactly 64 characters"),
        ("", "#" + SECRET.upper(), "The password hash must be exactly 64 characters"),
        ("on", "nonsense", "Syntax error"),
        ("", "(on)", "Syntax error"),
        ("", "(+nosuch)", "Unknown command or category name in ACL"),
    ],
)
def test_refused_rules(rules: str, rule: str, reason: str) -> None:
    before = user(rules)
    with pytest.raises(BadRuleError) as refusal:
        before.changed([b"+get", rule.encode(), b"+set"], opens_channels=False)
    assert refusal.value.rule == rule.encode()
    assert refusal.value.cause.text.startswith(reason)
    assert before.describe() == user(rules).describe()


def test_a_selector_must_be_closed() -> None:
    with pytest.raises(UnmatchedParenthesisError) as failure:
        merge_selector_words([b"on", b"(+get", b"~a"])
    assert failure.value.word == b"(+get"


def test_passwords() -> None:
    assert user("on >secret").accepts(b"secret")
    assert not user("on >secret").accepts(b"")
    assert not user("off >secret").accepts(b"secret")
    assert user("on nopass").accepts(b"whatever")
    assert not user("off nopass").accepts(b"whatever")
    assert not user("on").accepts(b"")


def test_default_user_is_free() -> None:
    default = make_default_user()
    assert default.describe() == b"on nopass sanitize-payload ~* &* +@all"
    assert default.is_unrestricted
    assert not user("+@all ~*").is_unrestricted
    assert user("(+@all ~* &*)").is_unrestricted


def test_channels_of_new_users_follow_the_configuration() -> None:
    open_user = User(b"alice", opens_channels=True)
    changed = open_user.changed([b"(+get)"], opens_channels=True)
    assert changed.describe() == b"off sanitize-payload &* -@all (&* -@all +get)"


# --- files -----------------------------------------------------------------------------------


def read(text: bytes) -> dict[bytes, User]:
    return read_users_untrusted(text, b"users.acl", opens_channels=False)


def test_files_are_read_and_written() -> None:
    text = b"\n  user alice on  >secret ~a (+get ~b) \r\n\nuser bob\n"
    users = read(text)
    assert [*users] == [b"alice", b"bob"]
    written = write_users(users.values())
    assert written.splitlines()[1] == b"user bob off sanitize-payload resetchannels -@all"
    assert write_users(read(written).values()) == written


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (b"# a comment", b"users.acl:1 should start with user keyword followed by the username. "),
        (b"\nuser", b"users.acl:2 should start with user keyword followed by the username. "),
        (b"user a\x0bb", b"'users.acl:1: username 'a\x0bb' contains invalid characters. "),
        (b"user a\nuser a", b"WARNING: Duplicate user 'a' found on line 2. "),
        (b"user a (+get", b"users.acl:1: Unmatched parenthesis in selector definition."),
        (
            b"user a +nosuch +other",
            b"users.acl:1: Error in applying operation '+nosuch': Unknown command or category "
            b"name in ACL. users.acl:1: Error in applying operation '+other': Unknown command or "
            b"category name in ACL. ",
        ),
        (
            b"user a #secret foo\nuser b bar",
            b"users.acl:1: The password hash must be exactly 64 "
            b"characters and contain only lowercase hexadecimal characters. "
            b"users.acl:2: Syntax error. ",
        ),
    ],
)
def test_a_file_with_mistakes_is_not_used(text: bytes, mistakes: bytes) -> None:
    with pytest.raises(UserFileError) as failure:
        read(text)
    assert failure.value.text == mistakes + (
        b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    )
