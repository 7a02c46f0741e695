"""The argument language: what each form stands for, and what is refused."""

import pytest

from clustrio.node.argument_syntax import Argument, ArgumentSyntaxError, parse_arguments


def outline(argument: Argument) -> str:
    """One argument in one line: name:type, =token, ? optional, * multiple, ** with its token."""
    marks = "?" * argument.is_optional
    if argument.is_multiple:
        marks += "**" if argument.is_multiple_token else "*"
    token = f"={argument.token}" if argument.token is not None else ""
    inner = f"({' '.join(map(outline, argument.arguments))})" if argument.arguments else ""
    return f"{argument.name}:{argument.type.value}{token}{marks}{inner}"


def outlines(text: str) -> str:
    return " ".join(map(outline, parse_arguments(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("key value", "key:key value:string"),
        ("source:key newkey pattern", "source:key newkey:key pattern:pattern"),
        ("numkeys key...", "numkeys:integer key:key*"),
        ("timeout seconds", "timeout:double seconds:integer"),
        ("unix-time-seconds", "unix-time-seconds:unix-time"),
        ("[message]", "message:string?"),
        ("[key...]", "key:key?*"),
        ("[key]...", "key:key?*"),
        ("GET", "get:pure-token=GET"),
        ("[COUNT count]", "count:integer=COUNT?"),
        ("COUNT count", "count:integer=COUNT"),
        ("[WEIGHTS weight...]", "weight:double=WEIGHTS?*"),
        ("[GET pattern]...", "pattern:pattern=GET?**"),
        ("(GET pattern)...", "pattern:pattern=GET**"),
        ("[FAST]...", "fast:pure-token=FAST?*"),
        ("[IDS id...]...", "id:block?*(id:string=IDS*)"),
        (
            "[LIMIT offset count]",
            "limit:block=LIMIT?(offset:integer count:integer)",
        ),
        ("STREAMS key... id...", "streams:block=STREAMS(key:key* id:string*)"),
        ("(key value)...", "key-value:block*(key:key value:string)"),
        ("[start end [unit]]", "start-end-unit:block?(start:integer end:integer unit:string?)"),
        (
            "[range:block(start end [BYTE|BIT])]",
            "range:block?(start:integer end:integer "
            "unit:oneof?(byte:pure-token=BYTE bit:pure-token=BIT))",
        ),
        ("only:block(key)", "only:block(key:key)"),
        ("outer:block(inner:block(key id))", "outer:block(inner:block(key:key id:string))"),
        ("[NX|XX]", "condition:oneof?(nx:pure-token=NX xx:pure-token=XX)"),
        ("[how:oneof(NX|XX)]", "how:oneof?(nx:pure-token=NX xx:pure-token=XX)"),
        ("[RIGHT|WRONG]", "right-or-wrong:oneof?(right:pure-token=RIGHT wrong:pure-token=WRONG)"),
        (
            "[A|B|C|D]",
            "choice:oneof?(a:pure-token=A b:pure-token=B c:pure-token=C d:pure-token=D)",
        ),
        (
            "[EX seconds|PX milliseconds|KEEPTTL]",
            "seconds-or-milliseconds-or-keepttl:oneof?("
            "seconds:integer=EX milliseconds:integer=PX keepttl:pure-token=KEEPTTL)",
        ),
        (
            "[AGGREGATE SUM|MIN|MAX]",
            "aggregate:oneof=AGGREGATE?(sum:pure-token=SUM min:pure-token=MIN max:pure-token=MAX)",
        ),
        (
            "BEFORE|AFTER pivot",
            "where:oneof(before:pure-token=BEFORE after:pure-token=AFTER) pivot:string",
        ),
        (
            "LEFT|RIGHT LEFT|RIGHT",
            "where:oneof(left:pure-token=LEFT right:pure-token=RIGHT) "
            "where-2:oneof(left:pure-token=LEFT right:pure-token=RIGHT)",
        ),
        (
            "*|id field",
            "automatic-or-id:oneof(automatic:pure-token=* id:string) field:string",
        ),
        (
            "FROMMEMBER member|FROMLONLAT longitude latitude (M|KM)",
            "member-or-fromlonlat:oneof(member:string=FROMMEMBER "
            "fromlonlat:block=FROMLONLAT(longitude:double latitude:double)) "
            "m-or-km:oneof(m:pure-token=M km:pure-token=KM)",
        ),
        (
            "(BYRADIUS radius (M|KM)|BYBOX width height (M|KM))",
            "byradius-or-bybox:oneof("
            "byradius:block=BYRADIUS(radius:double m-or-km:oneof(m:pure-token=M km:pure-token=KM)) "
            "bybox:block=BYBOX(width:double height:double "
            "m-or-km:oneof(m:pure-token=M km:pure-token=KM)))",
        ),
        (
            "slot NODE node-id|IMPORTING node-id|STABLE",
            "slot:integer node-id-or-node-id-or-stable:oneof(node-id:string=NODE "
            "node-id:string=IMPORTING stable:pure-token=STABLE)",
        ),
        (
            "[(MAXLEN|MINID) [=|~] threshold]",
            "strategy-operator-threshold:block?("
            "strategy:oneof(maxlen:pure-token=MAXLEN minid:pure-token=MINID) "
            "operator:oneof?(equal:pure-token== approximately:pure-token=~) threshold:string)",
        ),
        (
            "AUTH (LIMIT offset count)",
            "auth:block=AUTH(limit:block=LIMIT(offset:integer count:integer))",
        ),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert outlines(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("key key", "two neighbours are called 'key'"),
        ("[EX seconds|EX seconds]", "two neighbours are called 'seconds'"),
        ("block:block(id id)", "two neighbours are called 'id'"),
        ("[key", r"a '\]' is missing"),
        ("(key]", r"a '\)' is missing"),
        ("key]", r"nothing opens this '\]'"),
        ("[]", "an empty group"),
        ("NX|", "an argument is missing"),
        ("|NX", r"'\|' cannot stand here"),
        ("...", r"'\.\.\.' cannot stand here"),
        ("key::key", "':key' is no type"),
        ("key:number", "'number' is no type"),
        ("kEy", "'kEy' is no name"),
        ("one:oneof key", "a oneof needs parentheses"),
        ("one:oneof(key value)", "this is no choice"),
        ("[NX|XX|IFEQ value]", "Say so with parentheses"),
        ("(LEFT|RIGHT count)", "Say so with parentheses"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    with pytest.raises(ArgumentSyntaxError, match=reason):
        parse_arguments(text)


def test_a_refusal_points_at_the_word() -> None:
    with pytest.raises(ArgumentSyntaxError, match=r"behind 'key kind:wrong'"):
        parse_arguments("key kind:wrong more")
