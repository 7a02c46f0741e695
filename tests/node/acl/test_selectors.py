"""Rules of one selector: what they allow, and what they read as afterwards."""

import pytest

from clustrio.node.acl.access import NO_ACCESS, READ, READ_WRITE, WRITE, key_accesses
from clustrio.node.acl.catalog import catalog
from clustrio.node.acl.denials import Denial, Reason
from clustrio.node.acl.selectors import RuleError, Selector
from clustrio.node.registry import Command, build_commands

COMMANDS = build_commands()


def selector(rules: str) -> Selector:
    made = Selector(has_all_channels=False)
    for rule in rules.split():
        made.apply(rule.encode())
    return made


def command(line: str) -> tuple[Command, list[bytes]]:
    words = line.encode().split()
    found = COMMANDS[words[0].upper()]
    if found.subcommands and len(words) > 1:
        found = found.subcommands[words[1].upper()]
    return found, words


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ("", "resetchannels -@all"),
        ("+@all ~* &*", "~* &* +@all"),
        ("allcommands allkeys allchannels", "~* &* +@all"),
        ("+get +set -get", "resetchannels -@all +set -get"),
        ("+get -get +get", "resetchannels -@all +get"),
        ("+config|get +config", "resetchannels -@all +config"),
        ("+config +config|get", "resetchannels -@all +config +config|get"),
        ("+@all -@admin +CONFIG|GET", "resetchannels +@all -@admin +config|get"),
        ("+get nocommands +set", "resetchannels -@all +set"),
        ("+@read -@READ", "resetchannels -@all -@read"),
        ("+select|0 +SELECT|A", "resetchannels -@all +select|0 +select|a"),
        ("~a %R~b %W~c %R~d %W~d %RW~e", "~a %R~b %W~c ~d ~e resetchannels -@all"),
        ("~a ~* resetkeys ~b", "~b resetchannels -@all"),
        ("&a &b &a", "resetchannels &a &b -@all"),
    ],
)
def test_rules_read_as(rules: str, text: str) -> None:
    made = selector(rules)
    assert made.describe() == text.encode()
    again = selector(text)
    assert (again.allowed, again.first_words) == (made.allowed, made.first_words)
    assert made.copy().describe() == made.describe()


@pytest.mark.parametrize(
    ("before", "rule", "reason"),
    [
        ("", "+nosuch", "Unknown command or category name in ACL"),
        ("", "-get|a", "Unknown command or category name in ACL"),
        ("", "+config|nosuch", "Unknown command or category name in ACL"),
        ("", "+@nosuch", "Unknown command or category name in ACL"),
        ("", "+", "Unknown command or category name in ACL"),
        ("", "+|", "Unknown command or category name in ACL"),
        ("", "+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        ("", "+get|", "Syntax error"),
        ("", "%~a", "Syntax error"),
        ("", "%", "Syntax error"),
        ("", "%RR~a", "Syntax error"),
        ("", "~a\0", "Syntax error"),
        ("", "&a\n", "Syntax error"),
        ("", "nonsense", "Syntax error"),
        ("", "", "Syntax error"),
        ("~*", "~a", "Adding a pattern after the * pattern (or the 'allkeys' flag)"),
        ("&*", "&a", "Adding a pattern after the * pattern (or the 'allchannels' flag)"),
    ],
)
def test_refused_rules_change_nothing(before: str, rule: str, reason: str) -> None:
    made = selector(before)
    text = made.describe()
    with pytest.raises(RuleError) as refusal:
        made.apply(rule.encode())
    assert refusal.value.text.startswith(reason)
    assert made.describe() == text


@pytest.mark.parametrize(
    ("rules", "line", "denial"),
    [
        ("+get ~a", "get a", None),
        ("+get ~a", "get b", Denial(Reason.KEY, 1)),
        ("+set ~a", "get a", Denial(Reason.COMMAND)),
        ("+mset ~a ~c", "mset a 1 b 2", Denial(Reason.KEY, 3)),
        ("+get %W~a", "get a", Denial(Reason.KEY, 1)),
        ("+set %W~a", "set a 1", None),
        ("+set %W~a", "set a 1 get", Denial(Reason.KEY, 1)),
        ("+set %W~a", "set a 1 ifeq 2", Denial(Reason.KEY, 1)),
        ("+set %R~a", "set a 1", Denial(Reason.KEY, 1)),
        ("+bitfield %R~a", "bitfield a get u8 0", None),
        ("+bitfield %R~a", "bitfield a get u8 0 set u8 0 1", Denial(Reason.KEY, 1)),
        ("+bitfield %R~a", "bitfield a nonsense", Denial(Reason.KEY, 1)),
        ("+copy %R~a %W~b", "copy a b", None),
        ("+copy %R~a %W~b", "copy b a", Denial(Reason.KEY, 1)),
        ("+exists %W~a", "exists a", None),
        ("+sort %R~a %W~b", "sort a limit 0 1 store b", None),
        ("+sort %R~a", "sort a store b", Denial(Reason.KEY, 3)),
        ("+zunion ~a", "zunion 2 a b", Denial(Reason.KEY, 3)),
        ("+zunion ~a", "zunion x a b", None),
        ("+config|get", "config get port", None),
        ("+config|get", "config set port 1", Denial(Reason.COMMAND)),
        ("+select|0", "select 0", None),
        ("+select|0", "select 1", Denial(Reason.COMMAND)),
        ("", "auth x", None),
        ("", "ping", Denial(Reason.COMMAND)),
    ],
)
def test_decisions(rules: str, line: str, denial: Denial | None) -> None:
    made = selector(rules)
    assert made.maybe_denial(*command(line)) == denial
    found, _ = command(line)
    quick = found.full_name in made.allowed_with_any_words()
    assert not quick or denial is None


def test_key_patterns_are_globs_and_may_grow() -> None:
    made = selector("~app:* %R~log:?")
    assert made.allows_key(b"app:1", READ_WRITE)
    assert made.allows_key(b"log:1", READ)
    assert not made.allows_key(b"log:1", WRITE)
    assert not made.allows_key(b"log:10", NO_ACCESS)
    made.apply(b"%W~log:?")
    assert made.allows_key(b"log:1", WRITE)


def test_channels() -> None:
    made = selector("&news.* &x")
    assert made.allows_channel(b"news.a", is_pattern=False)
    assert not made.allows_channel(b"other", is_pattern=False)
    assert made.allows_channel(b"news.*", is_pattern=True)
    assert not made.allows_channel(b"news.a", is_pattern=True)


def test_every_key() -> None:
    assert selector("~*").has_every_key(READ)
    assert selector("%R~*").has_every_key(READ)
    assert not selector("%W~*").has_every_key(READ)
    assert not selector("~a*").has_every_key(READ)


def test_containers_bring_their_subcommands() -> None:
    book = catalog()
    assert "config|set" in book.families["config"]
    assert "config|set" in book.categories["slow"]
    assert "config" not in book.listed["admin"]
    assert book.maybe_command("CONFIG|Set") == "config|set"


def test_keys_that_cannot_be_told_are_none() -> None:
    assert key_accesses(*command("zunion 99 a")) == []
