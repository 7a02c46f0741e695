"""Words, quotes, command lines and fatal texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.config.syntax import (
    CommandLine,
    CommandLineError,
    ConfigFileError,
    Mode,
    UnreadableFileError,
    bytes_from,
    configuration_text,
    maybe_split_words,
    parse_command_line,
    represent,
    text_from,
)

WORDS = {
    "": [],
    "  \t ": [],
    "a b\tc\r\nd": ["a", "b", "c", "d"],
    "\v\fa\fb\v \v'c'\v": ["a\fb\v", "c"],
    '""': [""],
    "'' \"\"": ["", ""],
    '"a b" c': ["a b", "c"],
    r'"\x41\n\r\t\a\b\q\"\\"': ['A\n\r\t\a\bq"\\'],
    r'"\x4" "\xg1"': ["x4", "xg1"],
    r"'\n\'\\x'": ["\\n'\\\\x"],
    r"'\\'": None,
    'a"b c"': ["ab c"],
    "a'b'": ["ab"],
    "a # b": ["a", "#", "b"],
    "é": ["é"],
    r'"\xc3\xa9"': ["é"],
    r'"\xff"': ["\udcff"],
    "a\0b": ["a"],
    '"a': None,
    "'a": None,
    '"a"b': None,
    "'a'b": None,
    "'a'\"b\"": None,
    '"a\\"': None,
    '"a\0"': None,
    "a'": None,
}


@pytest.mark.parametrize("line", WORDS)
def test_words_of_a_line(line: str) -> None:
    assert maybe_split_words(line) == WORDS[line]


@given(st.binary())
def test_what_is_represented_is_read_back(data: bytes) -> None:
    text = represent(text_from(data))
    assert text.isascii()
    assert text.isprintable()
    words = maybe_split_words(f"{text} {text}")
    assert words is not None
    assert [bytes_from(word) for word in words] == [data, data]


def test_representation() -> None:
    assert represent('a "b"\\\n\r\t\a\b\0é') == r'"a \"b\"\\\n\r\t\a\b\x00\xc3\xa9"'


COMMAND_LINES = [
    ([], CommandLine()),
    (["-v"], CommandLine(Mode.VERSION)),
    (["--version", "x"], CommandLine(Mode.VERSION)),
    (["-h"], CommandLine(Mode.HELP)),
    (["--help"], CommandLine(Mode.HELP)),
    (["--check-system"], CommandLine(Mode.CHECK_SYSTEM)),
    (["a.conf"], CommandLine(maybe_path="a.conf")),
    (["-"], CommandLine(reads_standard_input=True)),
    (["a.conf", "-"], CommandLine(maybe_path="a.conf", reads_standard_input=True)),
    (
        ["a.conf", "-", "--port", "1"],
        CommandLine(maybe_path="a.conf", options='"-" \nport "1" '),
    ),
    (
        ["-", "--port", "1"],
        CommandLine(reads_standard_input=True, options='port "1" '),
    ),
    (["--port", "1"], CommandLine(options='port "1" ')),
    (["--port 1"], CommandLine(options="port 1 ")),
    (
        ["a.conf", "--port", "1", "--bind", "127.0.0.1 ::1", "--hz", "2"],
        CommandLine(maybe_path="a.conf", options='port "1" \nbind "127.0.0.1 ::1" \nhz "2" '),
    ),
    (["--bind", "a", "b", "--hz", "2"], CommandLine(options='bind "a" "b" \nhz "2" ')),
    (["--masterauth", "--x", "--hz", "2"], CommandLine(options='masterauth "--x" \nhz "2" ')),
    (["--save"], CommandLine(options='save ""')),
    (["--save", ""], CommandLine(options='save "" ')),
    (["--SAVE", "--hz", "2"], CommandLine(options='SAVE ""\nhz "2" ')),
    (["--save", "1", "2", "--save", "3", "4"], CommandLine(options='save "1" "2" \nsave "3" "4" ')),
]


@pytest.mark.parametrize(("arguments", "expected"), COMMAND_LINES)
def test_command_line(arguments: list[str], expected: CommandLine) -> None:
    assert parse_command_line(arguments) == expected


@pytest.mark.parametrize("arguments", [["--sentinel"], ["a.conf", "--sentinel"], ["--test-memory"]])
def test_command_lines_that_only_redis_obeys(arguments: list[str]) -> None:
    with pytest.raises(CommandLineError):
        parse_command_line(arguments)


def test_the_command_line_comes_last() -> None:
    text = configuration_text("hz 1\n", "hz 2\n", 'hz "3" ')
    assert text == 'hz 1\nhz 2\n\nhz "3" '


def test_fatal_texts() -> None:
    with_line = ConfigFileError(3, "port x", "argument couldn't be parsed into an integer")
    assert with_line.fatal_text("7.0.15") == (
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n"
        "Reading the configuration file, at line 3\n"
        ">>> 'port x'\n"
        "argument couldn't be parsed into an integer\n"
    )
    without_line = ConfigFileError(None, "", "they do not go together")
    assert without_line.fatal_text("7.2.5") == (
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.5) ***\nthey do not go together\n"
    )
    unreadable = UnreadableFileError("/x", "No such file or directory")
    assert unreadable.fatal_text() == (
        "Fatal error, can't open config file '/x': No such file or directory"
    )
