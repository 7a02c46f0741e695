"""Users with random rules, and what they may do: ACL SETUSER, GETUSER, LIST, DRYRUN, DELUSER.

Rule texts follow Redis 7.2, which keeps the rules as they were given; 7.0 computes others that mean
the same. So rule texts are compared by what they allow. Commands that only one side has do not
count.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from clustrio.node.acl.catalog import catalog
from clustrio.node.acl.selectors import RuleError, Selector
from clustrio.node.acl.users import merge_selector_words

from ..support.raw import Reply
from . import (
    grammar_bitmap,
    grammar_generic,
    grammar_geo,
    grammar_hash,
    grammar_hyperloglog,
    grammar_list,
    grammar_set,
    grammar_sort,
    grammar_stream,
    grammar_string,
    grammar_zset,
)
from .dsl import Command, command, constant, integer, maybe, mostly, one_of, repeat, vary_case

_COMMANDS: Final = [
    rule
    for grammar in (
        *(grammar_bitmap, grammar_generic, grammar_geo, grammar_hash, grammar_hyperloglog),
        *(grammar_list, grammar_set, grammar_sort, grammar_stream, grammar_string, grammar_zset),
    )
    for rule in grammar.GRAMMAR
]
#: Commands of 7.0 by which rule texts are compared: those that Redis added later are left out.
_NAMES: Final = sorted({rule.name.decode().lower() for rule in _COMMANDS} & catalog().names)
_HASH: Final = b"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

#: What 7.2 has besides, for every new user.
_NEWER_FLAG: Final = b"sanitize-payload"


# --- when rule texts agree -------------------------------------------------------------------


def _meaning(text: bytes) -> object:
    """What a text of rules about commands, keys and channels allows."""
    selector = Selector(has_all_channels=False)
    for rule in text.split():
        try:
            selector.apply(rule)
        except RuleError:
            # A command that only the real server has.
            continue
    allowed = frozenset(name for name in _NAMES if name in selector.allowed)
    first = {
        name: sorted(words)
        for name, words in selector.first_words.items()
        if name not in selector.allowed
    }
    return (
        *(allowed, first, selector.has_future_commands),
        *(selector.has_all_keys, selector.key_patterns),
        *(selector.has_all_channels, selector.channels),
    )


def _description(reply: Reply) -> object:
    """A reply of GETUSER with its rule texts as what they mean."""
    if not isinstance(reply.value, tuple):
        return reply.kind, reply.value
    if reply.items and reply.items[0].value in (b"flags", b"commands"):
        names = [name.text for name in reply.items[::2]]
        return {
            name: _field(name, field) for name, field in zip(names, reply.items[1::2], strict=True)
        }
    return [_description(item) for item in reply.items]


def _field(name: bytes, field: Reply) -> object:
    if name == b"flags":
        return sorted(flag.text for flag in field.items if flag.text != _NEWER_FLAG)
    return _meaning(field.text) if name == b"commands" else _description(field)


def same_user(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same flags, passwords and selectors."""
    return ours.kind == theirs.kind and _description(ours) == _description(theirs)


def _line(text: bytes) -> object:
    words = merge_selector_words([word for word in text.split() if word != _NEWER_FLAG])
    plain = b" ".join(word for word in words if not word.startswith(b"("))
    selectors = [_meaning(word[1:-1]) for word in words if word.startswith(b"(")]
    flags = [word for word in words[:6] if word[:1] not in b"+-&~%("]
    return flags, _meaning(plain), selectors


def same_lines(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same users with the same rules, one a line."""
    return [_line(line.text) for line in ours.items] == [_line(line.text) for line in theirs.items]


def same_verdict(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same decision for the same reason; 7.2 begins the sentence otherwise."""
    if ours.kind != b"$" or theirs.kind != b"$":
        return ours == theirs
    return ours.text == theirs.text.replace(b"This user", b"User " + command[2], 1)


def known_to_both(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The commands of a category, less those that one side does not have."""
    if ours.kind != b"*" or theirs.kind != b"*":
        return ours == theirs
    common = set(_NAMES)
    return common & {name.text for name in ours.items} == common & {
        name.text for name in theirs.items
    }


def same_length(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Two passwords as long as each other."""
    if ours.kind != b"$" or theirs.kind != b"$":
        return ours == theirs
    return len(ours.text) == len(theirs.text)


# --- rules -----------------------------------------------------------------------------------

_user = constant(b"alice", b"bob", b"carol")


def _rule_of_command(random: Random) -> Command:
    name = random.choice(_NAMES)
    sign = random.choice("+++--")
    return [vary_case(f"{sign}{name}".encode(), random)]


_rule = one_of(
    _rule_of_command,
    _rule_of_command,
    _rule_of_command,
    constant(
        *(b"+@read", b"-@write", b"+@string", b"+@hash", b"+@LIST", b"-@stream", b"+@keyspace"),
        *(b"-@dangerous", b"+@fast", b"-@slow", b"+@all", b"-@all", b"allcommands", b"nocommands"),
        *(b"+config|get", b"-config|set", b"+config", b"-client|kill", b"+object|encoding"),
        *(b"+select|0", b"+SELECT|1", b"+get|a", b"+set|a"),
    ),
    constant(
        *(b"~*", b"allkeys", b"resetkeys", b"~a", b"~[ab]", b"~{a}*", b"~bin*", b"%R~a", b"%W~a"),
        *(b"%RW~b", b"%wr~c", b"%R~*", b"%W~*", b"~\\*", b"%R~[a-c]", b"%W~[b-c]", b"~"),
    ),
    constant(b"&*", b"allchannels", b"resetchannels", b"&news.*", b"&a", b"&"),
    constant(
        *(b"on", b"off", b"ON", b"nopass", b"resetpass", b">secret", b"<secret", b">", b"<other"),
        *(b"#" + _HASH, b"!" + _HASH, b"sanitize-payload", b"skip-sanitize-payload"),
        *(b"clearselectors", b"reset", b""),
    ),
)
_SELECTORS: Final = constant(
    *(b"(+get ~a)", b"(+@read %R~b)", b"(+set %W~c +@hash ~[ab])", b"()", b"(+@all ~bin*)"),
    *(b"(-@all +sort allkeys)", b"(+@all -@write %R~*)", b"(~* +@all &*)", b"( +get  ~b )"),
)
#: Each of these is refused.
_BAD_RULE: Final = constant(
    *(b"+nosuch", b"-nosuch", b"+@nosuch", b"-@", b"+", b"-", b"+get|", b"+config|nosuch"),
    *(b"-get|a", b"+config|get|x", b"+nosuch|x", b"%", b"%X~a", b"%RR~a", b"%R~a b", b"~a b"),
    *(b"&a b", b"#abc", b"!abc", b"#" + _HASH.upper(), b"!" + b"0" * 64, b"nonsense", b")", b"on "),
    *(b"(+nosuch)", b"(on)", b"(~* ~a)", b"((+get))", b"(+get", b"(", b"(&* &a)", b"(%)"),
)


def _request(random: Random) -> Command:
    words: Command = random.choice(_COMMANDS).draw(random)
    words[0] = vary_case(words[0], random)
    return words


_other_request = constant(b"get", b"config", b"nosuch", b"object", b"ping", b"select", b"auth")

GRAMMAR: Final = [
    command("ACL", "SETUSER", _user, repeat(_rule, 0, 5), weight=6, takes_damage=False),
    command(
        *("ACL", "SETUSER", _user, "reset", repeat(_rule, 0, 5), repeat(_SELECTORS, 0, 2)),
        weight=4,
        takes_damage=False,
    ),
    command("ACL", "SETUSER", _user, maybe(_rule), _BAD_RULE, maybe(_rule), takes_damage=False),
    command("ACL", "SETUSER", constant(b"a b", b"a\0b", b"a\tb"), takes_damage=False),
    command("ACL", "DELUSER", repeat(one_of(_user, constant(b"default", b"nosuch")), 1, 2)),
    command(
        "ACL", "GETUSER", mostly(_user, constant(b"default", b"nosuch")), agree=same_user, weight=4
    ),
    command("ACL", "LIST", agree=same_lines, weight=2),
    command("ACL", "USERS"),
    command("ACL", "WHOAMI"),
    command("ACL", "DRYRUN", _user, _request, agree=same_verdict, weight=30, takes_damage=False),
    command(
        "ACL",
        "DRYRUN",
        _user,
        _other_request,
        maybe(constant(b"0", b"1", b"a", b"get")),
        agree=same_verdict,
    ),
    command("ACL", "CAT"),
    command(
        *("ACL", "CAT", one_of("read", "string", "hash", "dangerous", "nonsense")),
        agree=known_to_both,
    ),
    command("ACL", "GENPASS", maybe(integer), agree=same_length),
]
