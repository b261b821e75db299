"""The filter against its rule, written out sample by sample."""

import pytest

from mmx.parts.dataset import Sample
from mmx_scaffold.templates.filter.config import ThisPartConfig
from mmx_scaffold.templates.filter.filter import ThisPart

CAPTIONS = ["a dog", "A  dog", "a cat", "a dog", "a cat", ""]


@pytest.mark.parametrize(("most", "left"), [(1, "025"), (2, "01245"), (3, "012345")])
def test_rule(most: int, left: str) -> None:
    one = ThisPart(ThisPartConfig(name="part", most=most))
    samples = [Sample(str(i), None, (text,) if text else ()) for i, text in enumerate(CAPTIONS)]
    assert "".join(sample.key for sample in samples if one.stays(sample)) == left
