"""Writing histories down, and reading them back."""

import pytest

from clustrio.tools.chaos.history import HistoryError, lines_of, parse_history_untrusted

from .histories import fault, final, history, probe, read, view, write


def test_a_history_survives_its_file() -> None:
    story = history(
        [write("k", 1, 1, replicas=1), read("k", [1, [2, 3]], 3), probe(5)],
        [final("k", [1], copies={"3": [1]})],
        [fault("migrate", 1, 2, (0,), others=(1,), slots=(5, 6), note="2 keys")],
        [view(0, 1, 2)],
    )
    story.notes.append("something")
    story.stalled_ms = 12.5
    assert parse_history_untrusted(lines_of(story)) == story


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "empty"),
        (["nonsense"], "line 1"),
        (['{"record": "operation"}'], "line 1 does not describe the run"),
        (['{"record": "run"}'], "line 1"),
        (['{"record": "run", "plan": {"name": "x"}}', '{"record": "song"}'], "line 2"),
        (['{"record": "run", "plan": {"name": "x"}}', '{"record": "view", "a": 1}'], "line 2"),
        (["[]"], "line 1"),
    ],
)
def test_what_is_no_history_is_refused(lines: list[str], words: str) -> None:
    with pytest.raises(HistoryError, match=words):
        parse_history_untrusted(lines)
