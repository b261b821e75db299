"""Broken towers, fusions and losses are each caught by their check; their twins, and parts of ours, pass them all."""

from pathlib import Path
from unittest import SkipTest

import pytest
from broken import MODEL_BROKEN, MODEL_TWINS
from broken.table import Broken, Twin

from mmx.config import EncoderConfig, LossConfig, PartConfig
from mmx.plugin.registry import Registries
from mmx_kit.assembly import MODEL_KINDS
from mmx_kit.case import Case
from mmx_kit.check import Check
from mmx_kit.encoders import ENCODER_CHECKS
from mmx_kit.fusions import FUSION_CHECKS
from mmx_kit.losses import LOSS_CHECKS
from mmx_kit.modules import MODULE_CHECKS
from mmx_kit.precision import PRECISION_CHECKS
from mmx_kit.ranks import Ranks
from mmx_kit.reading import READING_CHECKS
from mmx_kit.steps import STEP_CHECKS

CHECKS = (
    *ENCODER_CHECKS,
    *READING_CHECKS,
    *FUSION_CHECKS,
    *LOSS_CHECKS,
    *MODULE_CHECKS,
    *PRECISION_CHECKS,
    *STEP_CHECKS,
)
PARTNERS = (
    Twin("image_encoder", "PartnerImages", "mmx_kit.partners:PartnerImages", EncoderConfig),
    Twin("text_encoder", "PartnerTexts", "mmx_kit.partners:PartnerTexts", EncoderConfig),
    Twin("fusion", "PartnerFusion", "mmx_kit.partners:PartnerFusion", PartConfig),
    Twin("loss", "PartnerContrast", "mmx_kit.partner_losses:PartnerContrast", LossConfig),
    Twin("loss", "PartnerWords", "mmx_kit.partner_losses:PartnerWords", LossConfig),
)


def case_of(part: Broken | Twin, folder: Path, pair: Ranks) -> Case:
    registries = Registries()
    register = registries.owned_by("broken")
    register(part.kind, part.name, config=part.config, part=part.part, summary="a part that may be broken")
    config = part.config.example(part.name, folder)
    return Case(registries[part.kind][part.name], config, folder, registries, pair=pair)


def applying(kind: str) -> list[Check]:
    return [check for check in CHECKS if kind in check.kinds]


@pytest.mark.parametrize("part", MODEL_BROKEN, ids=lambda part: f"{part.caught_by}: {part.kind} {part.name}")
def test_a_broken_part_is_caught_by_its_check(part: Broken, tmp_path: Path, pair: Ranks) -> None:
    (check,) = [check for check in applying(part.kind) if check.name == part.caught_by]
    with pytest.raises(Exception) as caught:
        check.run(case_of(part, tmp_path, pair))
    assert not isinstance(caught.value, SkipTest)


@pytest.mark.parametrize("twin", [*MODEL_TWINS, *PARTNERS], ids=lambda twin: f"{twin.kind} {twin.name}")
def test_a_twin_passes_every_check_of_its_kind(twin: Twin, tmp_path: Path, pair: Ranks) -> None:
    skipped: list[str] = []
    for check in applying(twin.kind):
        try:
            check.run(case_of(twin, tmp_path, pair))
        except SkipTest:
            skipped.append(check.name)
    exact = {"accumulation", "processes"} if twin.name == "Batched" else set[str]()
    assert exact <= set(skipped) <= exact | {"items", "towers", "decode"}


def test_every_check_catches_two_broken_parts() -> None:
    caught = {(check.name, check.kinds): 0 for check in CHECKS}
    for part in MODEL_BROKEN:
        caught[next((c.name, c.kinds) for c in applying(part.kind) if c.name == part.caught_by)] += 1
    assert {check: count for check, count in caught.items() if count < 2} == {}


def test_every_kind_has_three_broken_parts() -> None:
    assert all(sum(part.kind == kind for part in MODEL_BROKEN) >= 3 for kind in MODEL_KINDS)
