"""What people and programs are told."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from clustrio.tools.chaos.history import History
from clustrio.tools.chaos.page import NARROW, WIDE, html_page
from clustrio.tools.chaos.picture import (
    BAR,
    FAULT_EDGE,
    LETTER,
    lanes,
    node_bars,
    owner_bars,
    timeline,
)
from clustrio.tools.chaos.report import (
    fault_words,
    few_words,
    json_report,
    text_report,
)
from clustrio.tools.chaos.targets import CLIENTS
from clustrio.tools.chaos.verdict import judge

from .histories import fault, final, history, probe, view, write


def story() -> History:
    made = history(
        [
            write("<k>", 1, 900),
            write("<k>", 2, 950),
            *(probe(moment) for moment in range(100, 1000, 100)),
            *(probe(moment, 3) for moment in range(2500, 4000, 100)),
        ],
        [final("<k>", [1])],
        [fault("kill", 1000, 3000)],
        [view(0, 0, 990), view(3, 0, 2400, role="slave"), view(3, 2500, 4000)],
    )
    made.notes.append("<b>nothing</b> & more")
    return made


def test_the_text_names_what_matters() -> None:
    made = story()
    text = text_report(made, judge(made))
    assert "by-hand on clustrio" in text
    assert "kill n0" in text
    assert re.search(r"lost acknowledged writes +1 of 26 \(0 without an excuse\)", text)
    assert text.endswith("all promises kept")


def test_json_can_be_read_by_programs() -> None:
    made = story()
    report = json.loads(json_report(made, judge(made)))
    assert report["is_fine"] is True
    assert report["figures"]["lost_writes"] == 1
    assert report["faults"][0]["nodes"] == [0]
    assert report["plan"]["name"] == "by-hand"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (fault("kill", 1, 2, (0, 4)), "kill n0, n4"),
        (fault("partition", 1, 2, (0,), others=(1, CLIENTS)), "partition n0 | n1, clients"),
        (fault("partition", 1, 2, (0,), others=(1,), is_one_way=True), "partition n0 → n1"),
        (fault("migrate", 1, 2, (0,), others=(1,), note="3 keys"), "migrate n0 → n1 (3 keys)"),
        (fault("ring", 1, 2, ()), "ring"),
    ],
)
def test_faults_in_words(what: object, words: str) -> None:
    assert fault_words(what) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "words"), [((), ""), ((3,), "n3"), ((3, 0, 1), "n3 +2"), (tuple(range(6)), "all")]
)
def test_nodes_where_there_is_little_room(nodes: tuple[int, ...], words: str) -> None:
    assert few_words(nodes, 6) == words


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_picture_is_sound_and_stays_inside(width: int) -> None:
    made = story()
    root = ElementTree.fromstring(timeline(made, judge(made), width))
    _, _, right, bottom = map(float, root.attrib["viewBox"].split())
    assert right == width
    rects = [node for node in root.iter() if node.tag.endswith("rect")]
    assert len(rects) > 8
    for rect in rects:
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= bottom


def test_an_empty_run_can_be_drawn() -> None:
    made = history()
    ElementTree.fromstring(timeline(made, judge(made), WIDE))


def test_faults_that_overlap_get_rows_of_their_own() -> None:
    one, two, three = fault("kill", 0, 10), fault("pause", 5, 8), fault("kill", 12, 15)
    assert lanes([one, two, three], 1) == [[one, three], [two]]


def test_bars_of_nodes_and_shards() -> None:
    made = story()
    assert [(bar.start_ms, bar.end_ms) for bar in node_bars(made, 3)] == [(0, 2500), (2500, 4000)]
    probes = [each for each in made.operations if each.workload == "probe"]
    assert [(bar.start_ms, bar.end_ms) for bar in owner_bars("p", probes)] == [
        (99, 900),
        (2499, 3900),
    ]


class Tags(HTMLParser):
    """Checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.foreign += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_escapes_what_it_shows() -> None:
    made = story()
    page = html_page(made, judge(made))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.foreign == []
    assert "<script" not in page
    assert "&lt;b&gt;nothing&lt;/b&gt; &amp; more" in page
    assert page.count("<svg") == 2


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("end_ms", [1001, 1200, 2000, 2500, 4000, 9000])
def test_a_label_never_crosses_the_edge_of_a_bar(end_ms: float, width: int) -> None:
    move = fault("migrate", 1000, end_ms, (0,), others=(1,), note="3 keys")
    crash = fault("kill", end_ms + 300, 10_000, (2,))
    made = history([probe(100), probe(9_990)], [], [move, crash])
    elements = list(ElementTree.fromstring(timeline(made, judge(made), width)).iter())
    bars = [
        (float(each.attrib["x"]), float(each.attrib["x"]) + float(each.attrib["width"]))
        for each in elements
        if each.get("stroke") == FAULT_EDGE
    ]
    y = next(float(each.attrib["y"]) for each in elements if each.get("stroke") == FAULT_EDGE)
    labels = [
        (float(each.attrib["x"]), float(each.attrib["x"]) + LETTER * len(each.text or ""))
        for each in elements
        if each.tag.endswith("text") and y < float(each.attrib["y"]) < y + BAR + 3
    ]
    assert len(bars) == 2
    assert 1 <= len(labels) <= 2
    for left, right in labels:
        for first, last in bars:
            assert (first < left and right <= last + 0.1) or right <= first + 0.1 or left > last
