"""The page on the interface names what there is."""

import re
from pathlib import Path

import mmx.errors
import mmx_kit
from mmx.plugin.entries import API_LEVEL, GROUP

PAGE = (Path(__file__).parents[2] / "docs/plugins/api.md").read_text(encoding="utf-8")


def test_the_level_and_the_group_are_those_of_the_code() -> None:
    assert f"It is **{API_LEVEL}**" in PAGE
    assert set(re.findall(r"mmx\.plugins\.v\d+", PAGE)) == {GROUP}


def test_the_names_of_the_kit_are_listed() -> None:
    (line,) = re.findall(r"^- \[`mmx_kit`\]\(kit\.md\): (.+)[;.]$", PAGE, re.MULTILINE)
    names = set(re.findall(r"`(\w+)`", line))
    assert names == set(mmx_kit._MODULES)
    assert all(callable(getattr(mmx_kit, name)) for name in names)


def test_the_warning_has_the_name_that_the_page_gives_it() -> None:
    assert issubclass(mmx.errors.PluginDeprecationWarning, DeprecationWarning)
    assert "mmx.errors.PluginDeprecationWarning" in PAGE
