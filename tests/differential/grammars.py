"""All grammars by the name of their group, and how a command is drawn from one."""

from random import Random
from typing import Final

from . import (
    grammar_acl,
    grammar_bitmap,
    grammar_connection,
    grammar_dump,
    grammar_function,
    grammar_generic,
    grammar_geo,
    grammar_hash,
    grammar_hyperloglog,
    grammar_list,
    grammar_server,
    grammar_set,
    grammar_sort,
    grammar_stream,
    grammar_string,
    grammar_zset,
)
from .agreement import Agreement
from .dsl import Command, Rule, damaged, vary_case

#: How many commands in a hundred are made less valid than the grammar would have them.
DAMAGED_PERCENT: Final = 7

GRAMMARS: Final[dict[str, list[Rule]]] = {
    "string": grammar_string.GRAMMAR,
    "generic": grammar_generic.GRAMMAR + grammar_generic.STRINGS,
    "bitmap": grammar_bitmap.GRAMMAR + grammar_generic.STRINGS,
    "hyperloglog": grammar_hyperloglog.GRAMMAR,
    "list": grammar_list.GRAMMAR + grammar_generic.STRINGS[:1],
    "set": grammar_set.GRAMMAR + grammar_generic.STRINGS[:1],
    "hash": grammar_hash.GRAMMAR + grammar_generic.STRINGS[:1],
    "zset": grammar_zset.GRAMMAR + grammar_generic.STRINGS[:1],
    "geo": grammar_geo.GRAMMAR + grammar_generic.STRINGS[:1],
    "stream": grammar_stream.GRAMMAR + grammar_generic.STRINGS[:1],
    "sort": grammar_sort.GRAMMAR,
    "server": grammar_server.GRAMMAR,
    "dump": grammar_dump.GRAMMAR,
    "function": grammar_function.GRAMMAR,
    "acl": grammar_acl.GRAMMAR,
    "connection": grammar_connection.GRAMMAR + grammar_generic.STRINGS,
}
GRAMMARS["mixed"] = [rule for rules in list(GRAMMARS.values()) for rule in rules]


class Step:
    """One command of a run, with the rule by which its replies must agree."""

    __slots__ = ("agreement", "command")

    def __init__(self, words: Command, agreement: Agreement) -> None:
        self.command = words
        self.agreement = agreement


def draw_steps(rules: list[Rule], random: Random, count: int) -> list[Step]:
    """Draw a run of commands."""
    steps: list[Step] = []
    for rule in random.choices(rules, [rule.weight for rule in rules], k=count):
        words = rule.draw(random)
        words[0] = vary_case(words[0], random)
        if rule.takes_damage and random.randrange(100) < DAMAGED_PERCENT:
            words = damaged(words, random)
        steps.append(Step(words, rule.agreement))
    return steps
