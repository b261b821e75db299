"""The numbers of an evaluation fit the terminal."""

import pytest

from mmx.evaluate.rows import number_rows
from mmx.parts.evaluator import Number, Result

FOUND = Result(
    "top1",
    {
        "unseen.among_own.top5": Number(0.287, 0.2213, 0.3612, 0.03, 160),
        "top1": Number(0.316, 0.293, 0.339, 1 / 1906, 1447),
        "bad\x1b[31m": Number(0.0, count=1852),
    },
)


def test_the_columns_are_aligned_and_the_headline_is_first() -> None:
    assert number_rows("unseen_artist", FOUND, 80) == [
        "unseen_artist                     95 % interval  chance  samples",
        "  top1                   31.6 %  29.3 to 33.9 %  0.05 %    1,447",
        "  unseen.among_own.top5  28.7 %  22.1 to 36.1 %   3.0 %      160",
        "  bad\\x1b[31m                 0                            1,852",
    ]


@pytest.mark.parametrize("width", [44, 63])
def test_on_a_narrow_terminal_each_name_has_a_row_of_its_own(width: int) -> None:
    rows = number_rows("unseen_artist", FOUND, width)
    assert max(map(len, rows)) <= width
    assert (rows[2], rows[3].split()) == ("  top1", "31.6 % 29.3 to 33.9 % 0.05 % 1,447".split())
