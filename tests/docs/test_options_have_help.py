"""Every option of every part of ours says what it means."""

import pytest

from mmx.plugin.kinds import Entry
from mmx.recipe.describe import options
from pages import parts

ENTRIES = list(parts.ours())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}.{entry.name}")
def test_every_option_has_help(entry: Entry) -> None:
    assert [option.key for option in options(entry.config) if len(option.help) < 10] == []
    assert len(entry.summary) > 10 and not entry.summary.endswith(".")


def test_parts_were_found() -> None:
    assert {entry.kind for entry in ENTRIES} >= {"loss", "dataset", "evaluator", "fusion", "engine", "tracker"}
