"""The words in which command grammars are written.

A `Part` draws some arguments from a seeded generator. Parts combine: `seq`, `one_of`, `maybe`,
`repeat`, `options`. A `Rule` is a command name, its parts, and how two replies to it must agree. A
grammar file holds a list of rules and nothing else; the list of all grammars is in `grammars.py`.

Rules for whoever adds some:

- A command must give the same reply whenever it is run: no small positive time to live (it would
  lapse in the middle of a run), no equal relative times compared with GT or LT.
- Nothing may grow without bound: offsets are small, or so large that they are refused.
- Where a reply is random or depends on the clock, name an agreement from `agreement.py`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from .agreement import Agreement, exact

Command = list[bytes]
Part = Callable[[Random], Command]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to word one command."""

    name: bytes
    parts: tuple[Part, ...]
    agreement: Agreement
    weight: int
    takes_damage: bool

    def draw(self, random: Random) -> Command:
        """Word the command, valid as far as the grammar goes."""
        command = [self.name]
        for part in self.parts:
            command += part(random)
        return command


def command(
    name: str,
    *parts: Part | str,
    agree: Agreement = exact,
    weight: int = 1,
    takes_damage: bool = True,
) -> Rule:
    """Declare one way to word one command; a subcommand is given as a literal part.

    A command that would ask too much of a server with other arguments than these takes no damage.
    """
    return Rule(name.encode(), tuple(map(_as_part, parts)), agree, weight, takes_damage)


# --- combinators -----------------------------------------------------------------------------


def _as_part(part: Part | str) -> Part:
    return word(part) if isinstance(part, str) else part


def word(*texts: str) -> Part:
    """These words, each in a case that varies now and then."""
    return lambda random: [vary_case(text.encode(), random) for text in texts]


def constant(*texts: bytes) -> Part:
    """Any one of these, as it stands."""
    return lambda random: [random.choice(texts)]


def seq(*parts: Part | str) -> Part:
    """One part after the other."""
    drawn = [_as_part(part) for part in parts]
    return lambda random: [argument for part in drawn for argument in part(random)]


def one_of(*parts: Part | str) -> Part:
    """Any one of the parts."""
    drawn = [_as_part(part) for part in parts]
    return lambda random: random.choice(drawn)(random)


def mostly(usual: Part | str, odd: Part | str, chance: float = 0.93) -> Part:
    """The usual part, and the odd one now and then."""
    first, second = _as_part(usual), _as_part(odd)
    return lambda random: first(random) if random.random() < chance else second(random)


def maybe(part: Part | str, chance: float = 0.5) -> Part:
    """The part, or nothing."""
    drawn = _as_part(part)
    return lambda random: drawn(random) if random.random() < chance else []


def repeat(part: Part | str, low: int = 1, high: int = 4) -> Part:
    """The part, several times anew."""
    drawn = _as_part(part)
    return lambda random: [
        argument for _ in range(random.randint(low, high)) for argument in drawn(random)
    ]


def options(*parts: Part | str) -> Part:
    """Some of the parts, in any order; few more often than many."""
    drawn = [_as_part(part) for part in parts]

    def draw(random: Random) -> Command:
        count = min(len(drawn), int(random.expovariate(1.0)))
        return [argument for part in random.sample(drawn, count) for argument in part(random)]

    return draw


def counted(part: Part | str, low: int = 1, high: int = 4) -> Part:
    """A count and as many parts; now and then the count lies."""
    drawn = _as_part(part)

    def draw(random: Random) -> Command:
        count = random.randint(low, high)
        arguments = [argument for _ in range(count) for argument in drawn(random)]
        told = count if random.random() < 0.9 else random.choice((0, -1, count + 1, count - 1))
        return [b"%d" % told, *arguments]

    return draw


# --- keys, values, numbers -------------------------------------------------------------------

KEYS: Final = (b"a", b"b", b"c", b"{a}d", b"", b"bin\x00\xff\r\n")
MEMBERS: Final = (b"x", b"y", b"z", b"", b"10", b"-3", b"3.5", b"\x00\xfe", b"long" * 20)
VALUES: Final = (
    *(b"", b"0", b"1", b"-1", b"7", b"10000", b"OK", b"foo", b"foobar", b"ab\x00\xff\r\n"),
    *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"1.5", b"3.0e3"),
    *(b"1e400", b"inf", b"nan", b"007", b" 1", b"+5", b"x" * 44, b"y" * 45, b"z" * 300, b"-0"),
)
#: Arguments that few commands expect. None is a small positive number: see the rules above.
JUNK: Final = (
    *(b"", b"foo", b"-1", b"0", b"1.5", b"\xff\x00", b"+1 ", b" 3", b"0x10", b"nan", b"-inf"),
    *(b"9223372036854775807", b"-9223372036854775809", b"18446744073709551616", b"-0", b"a\r\nb"),
)
FAR_MS: Final = 4_000_000_000_000


def vary_case(text: bytes, random: Random) -> bytes:
    """Write a word in upper case mostly, in another case sometimes."""
    chance = random.random()
    if chance < 0.85:
        return text
    if chance < 0.95:
        return text.lower()
    return bytes(
        random.choice((byte, byte ^ 0x20)) if chr(byte).isalpha() else byte for byte in text
    )


def _other_case(byte: int, random: Random) -> int:
    return byte ^ 0x20 if chr(byte).isalpha() and random.random() < 0.5 else byte


def key(random: Random) -> Command:
    """A key from a small pool, so that commands meet each other's values."""
    return [random.choice(KEYS)]


def member(random: Random) -> Command:
    """An element of a collection."""
    return [random.choice(MEMBERS)]


def value(random: Random) -> Command:
    """A value: mostly an odd one from the pool, sometimes a number or random bytes."""
    chance = random.random()
    if chance < 0.6:
        return [random.choice(VALUES)]
    if chance < 0.8:
        return [b"%d" % random.randint(-1000, 1000)]
    return [random.randbytes(random.randint(0, 12))]


def integer(random: Random) -> Command:
    """A whole number: small, at an edge, or not quite one."""
    chance = random.random()
    if chance < 0.7:
        return [b"%d" % random.randint(-20, 20)]
    if chance < 0.95:
        edge = random.choice((2**63 - 1, -(2**63), 2**63, 2**32, 2**31 - 1, -(2**31), 0, 10**18))
        return [b"%d" % edge]
    return [random.choice((b"1.0", b"a", b"", b" 1", b"01", b"+1", b"-0", b"1e2"))]


def index(random: Random) -> Command:
    """A position in something short."""
    if random.random() < 0.93:
        return [b"%d" % random.randint(-12, 12)]
    return integer(random)


def double(random: Random) -> Command:
    """A floating point number, in many spellings."""
    if random.random() < 0.6:
        return [b"%g" % (random.randint(-2000, 2000) / random.choice((1, 2, 4, 10, 3)))]
    return [
        random.choice(
            (
                *(b"0", b"-0", b"1e3", b"-1.5e-3", b"3.0", b".5", b"5.", b"inf", b"-inf", b"+inf"),
                *(b"nan", b"", b"abc", b"1.5abc", b" 1", b"1 ", b"0x1p3", b"1e308", b"1e-320"),
                *(b"17179869184.5", b"0.1", b"1e17", b"123456789012345678", b"infinity"),
            )
        )
    ]


def seconds(random: Random) -> Command:
    """A relative time in seconds: long, or at an edge, never about to lapse."""
    if random.random() < 0.8:
        return [b"%d" % random.randint(1_000, 100_000_000)]
    edge = (
        b"0",
        b"-1",
        b"-100",
        b"9223372036854775807",
        b"9223372036854775",
        b"-9223372036854775808",
    )
    return [random.choice((*edge, b"foo", b"", b"1.5"))]


def milliseconds(random: Random) -> Command:
    """A relative time in milliseconds, under the same rule."""
    if random.random() < 0.8:
        return [b"%d" % random.randint(1_000_000, 100_000_000_000)]
    edge = (b"0", b"-1", b"-100", b"9223372036854775807", b"-9223372036854775808")
    return [random.choice((*edge, b"foo", b"", b"1.5"))]


def unix_seconds(random: Random) -> Command:
    """A moment in seconds: far in the future, past, or at an edge."""
    if random.random() < 0.8:
        return [b"%d" % (FAR_MS // 1000 + random.randint(0, 5))]
    edge = (b"0", b"-1", b"1", b"1000000000", b"9223372036854775807", b"-9223372036854775808")
    return [random.choice((*edge, b"foo"))]


def unix_milliseconds(random: Random) -> Command:
    """A moment in milliseconds."""
    if random.random() < 0.8:
        return [b"%d" % (FAR_MS + random.randint(0, 5000))]
    edge = (b"0", b"-1", b"1", b"1000000000000", b"9223372036854775807", b"-9223372036854775808")
    return [random.choice((*edge, b"foo"))]


def pattern(random: Random) -> Command:
    """A glob pattern."""
    return constant(
        *(b"*", b"?", b"a", b"[a-c]", b"[^a]", b"[c-a]", b"*a*", b"\\a", b"", b"[", b"[a", b"\\"),
        *(b"{a}*", b"**", b"[\\a]", b"*[", b"b?*", b"[^", b"bin*", b"[a-", b"*\xff*"),
    )(random)


# --- damage ----------------------------------------------------------------------------------


def damaged(words: Sequence[bytes], random: Random) -> Command:
    """Make a command less valid: an argument too many, too few, twice, moved, of another kind."""
    result = list(words)
    position = random.randrange(len(result))
    match random.randrange(6):
        case 0 if len(result) > 1:
            del result[max(1, position)]
        case 1:
            result.insert(position + 1, random.choice(JUNK))
        case 2 if len(result) > 1:
            result[max(1, position)] = random.choice(JUNK)
        case 3:
            result.insert(position + 1, result[position])
        case 4 if len(result) > 2:
            random.shuffle(tail := result[1:])
            result[1:] = tail
        case _:
            result = result[: max(1, position)]
    return result
