"""What must hold of every single directive, and the file that is computed from them."""

import pytest

from clustrio.node.config import Config
from clustrio.node.config.declarations import (
    DIRECTIVES,
    FILE_ONLY,
    FILE_SYNONYMS,
    FORGOTTEN,
    UNKNOWN_TO_CONFIG,
    AllDirectives,
)
from clustrio.node.config.directive import AnyDirective, Trait
from clustrio.tools.gen import conf_example

ALL = AllDirectives.directives()


@pytest.mark.parametrize("directive", ALL, ids=lambda directive: directive.name)
def test_every_directive(directive: AnyDirective) -> None:
    assert directive.attribute == directive.name.replace("-", "_")
    assert directive.doc.endswith((".", ".)"))
    assert directive.section
    text = directive.kind.text(directive.default)
    words = text.split(" ") if directive.kind.takes_many_words else [text]
    if directive.name != "replicaof":
        assert directive.parse(words, directive.default) == directive.default


def test_names_mean_one_thing() -> None:
    others = [*FILE_ONLY, *FILE_SYNONYMS, *FORGOTTEN, *UNKNOWN_TO_CONFIG]
    assert len(others) == len(set(others))
    assert not DIRECTIVES.keys() & set(others)
    assert set(FILE_SYNONYMS.values()) <= DIRECTIVES.keys()
    assert all(name == name.lower() for name in DIRECTIVES)


def test_the_example_file_is_up_to_date() -> None:
    assert conf_example.main(["--check"]) == 0


def test_a_stale_example_file_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conf_example, "example_text", lambda: "something else\n")
    assert conf_example.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().out
    assert conf_example.main([]) == 0
    assert capsys.readouterr().out == "something else\n"
    assert conf_example.main(["--nope"]) == 2


def test_the_example_file_works_and_shows_the_defaults() -> None:
    text = conf_example.example_text()
    config = Config()
    config.load(text)
    assert (config.cluster_enabled, config.port, config.warnings) == (True, 7000, [])
    shown = [
        line[1:] for line in text.split("\n") if line[:1] == "#" and line[1:2] not in ("", " ")
    ]
    defaults = Config()
    defaults.load("\n".join(shown))
    assert defaults.get(["*"]) == Config().get(["*"])
    assert defaults.warnings == []
    names = {line.split(" ")[0] for line in shown}
    assert names == {each.name for each in ALL if not each.has(Trait.HIDDEN)}
