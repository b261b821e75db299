"""Every kind of part has a page, an example, a template, and broken parts that the kit is tested with."""

import re
from pathlib import Path

import pytest

from mmx.plugin.kinds import BUILT, KINDS
from mmx_kit.catalogue import CHECKS
from mmx_scaffold import kinds as scaffold
from pages.blocks import blocks

ROOT = Path(__file__).parents[2]
OURS_ALONE = {"engine"}
"""Kinds that plugins are not started with: the seam to distributed execution."""
UNBUILT = set(KINDS) - set(BUILT)
"""Those without options: pages show a line of metadata for them."""


@pytest.mark.parametrize("kind", sorted(set(BUILT) - OURS_ALONE))
def test_a_kind_has_an_example_a_template_and_checks(kind: str) -> None:
    examples = " ".join(block.text for block in blocks(ROOT / "docs/plugins/parts.md") if block.title.endswith(".py"))
    assert re.search(rf'register\(\s*"{kind}",', examples), f"docs/plugins/parts.md has no {kind}"
    assert kind in scaffold.KINDS, f"mmx plugins new cannot write a {kind}"
    assert len([check for check in CHECKS if kind in check.kinds]) >= 5


@pytest.mark.parametrize("kind", sorted(UNBUILT))
def test_a_kind_without_options_has_an_example_and_checks(kind: str) -> None:
    text = (ROOT / "docs/plugins/parts.md").read_text(encoding="utf-8")
    assert f'"{kind}.' in text, f"docs/plugins/parts.md has no {kind}"
    assert [check for check in CHECKS if kind in check.kinds]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_in_the_map(kind: str) -> None:
    page = (ROOT / "docs/plugins/index.md").read_text(encoding="utf-8")
    assert f"kinds.md#{kind}" in page or kind in OURS_ALONE | {"text_encoder"}


@pytest.mark.parametrize("kind", sorted(BUILT))
def test_the_kit_is_tested_with_broken_parts_of_a_kind(kind: str) -> None:
    folder = ROOT / "tests/plugins/kit/broken"
    assert any(f'"{kind}"' in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
