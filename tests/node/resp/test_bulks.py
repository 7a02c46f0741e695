"""Rows of bulk strings, whatever their number and lengths."""

import pytest

from clustrio.node.resp.bulks import bulk_row, flat_row, opened_row
from clustrio.node.resp.encoder import bulk, bulk_array

_ROWS = {
    "nothing": [],
    "one": [b"a"],
    "short": [b"a", b"bc"],
    "equal": [b"%03d" % number for number in range(300)],
    "empty words": [b""] * 100,
    "long and equal": [b"x" * 5000] * 70,
    "of all lengths": [b"x" * number for number in range(200)],
    "one is different": [b"xx"] * 100 + [b"y"] + [b"xx"] * 102,
    "ten but for one": [b"xx"] * 7 + [b"y", b"xx", b"xx"],
    "one is long": [b"x"] * 80 + [b"y" * 5000],
}


@pytest.mark.parametrize("texts", _ROWS.values(), ids=_ROWS)
def test_a_row_is_its_strings(texts: list[bytes]) -> None:
    bulks = b"".join(map(bulk, texts))
    assert bulk_row(texts) == bulk_array(texts) == b"*%d\r\n" % len(texts) + bulks
    assert flat_row(texts) == bulks
    assert opened_row(b"~9", texts) == b"~9\r\n" + bulks
