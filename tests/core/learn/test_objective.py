"""The objective against the same mathematics written out by hand, without passes, wholes or shares."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmx.errors import PluginError, RecipeError
from mmx.learn.accumulate import accumulate
from mmx.learn.objective import MicroBatchTerm, Objective
from mmx.parts.batch import Batch
from mmx.parts.group import SoloGroup
from mmx.parts.report import means
from mmx_kit.layouts import Alone, gradients
from toys.clip import ProjectionFusion
from toys.language import MaskedWords
from toys.layouts import assert_same, start
from toys.mistakes import clip_and_words
from toys.systems import batch_for, declip, flava


def by_hand(objective: Objective, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return CLIP's loss with masks, and the mean cross-entropy of masked words."""
    model, group = objective.model, batch.facts["group"]
    fusion, mlm = model.fusion, objective.losses["mlm"]
    assert isinstance(fusion, ProjectionFusion) and isinstance(mlm, MaskedWords)
    logits = fusion.scale() * model.embed_image(batch.images["clean"]) @ model.embed_text(batch.texts["clean"]).T
    same = (group.unsqueeze(0) == group.unsqueeze(1)) & ~torch.eye(32, dtype=torch.bool)
    logits = logits.masked_fill(same, -torch.inf)
    target = torch.arange(32)
    contrastive = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    words = batch.texts["masked"]
    tokens, labels = model.encode_text(words).tokens, words.labels
    assert tokens is not None and labels is not None
    return contrastive, F.cross_entropy(mlm.head(tokens).flatten(0, 1), labels.flatten(), ignore_index=-100)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_losses_and_gradients_are_those_written_by_hand(micro_batches: int) -> None:
    objective, plain = start(clip_and_words, SoloGroup()), start(clip_and_words, SoloGroup())
    batch = batch_for(objective)
    accumulate(Alone(objective), objective, batch, micro_batches)
    contrastive, mlm = by_hand(plain, batch)
    (contrastive + mlm / 2).backward()
    assert objective.parts["contrastive"].item() == pytest.approx(contrastive.item(), rel=1e-12)
    assert objective.parts["mlm"].item() == pytest.approx(mlm.item(), rel=1e-12)
    assert_same(gradients(objective), gradients(plain))


def test_it_says_which_views_to_build() -> None:
    images, texts = start(declip, SoloGroup()).views()
    assert images == {"first", "second"}
    assert texts == {"clean", "masked"}


def test_a_loss_is_skipped_where_a_batch_lacks_its_views() -> None:
    objective = start(flava, SoloGroup())
    batch = batch_for(objective)
    paired = replace(
        batch,
        images={name: view for name, view in batch.images.items() if name != "alone"},
        texts={name: view for name, view in batch.texts.items() if name not in ("alone", "given")},
    )
    accumulate(Alone(objective), objective, paired, 1)
    assert set(objective.parts) == {"contrastive", "mmm_text", "mmm_image"}


def test_the_parts_are_those_of_the_last_batch() -> None:
    objective = start(clip_and_words, SoloGroup())
    batch = batch_for(objective)
    accumulate(Alone(objective), objective, batch, 4)
    first = objective.parts["mlm"].item()
    accumulate(Alone(objective), objective, batch, 4)
    assert objective.parts["mlm"].item() == first
    assert not any(part.requires_grad for part in objective.parts.values())


def test_a_batch_without_items_has_no_loss_and_no_gradient() -> None:
    objective = start(clip_and_words, SoloGroup())
    batch = batch_for(objective)
    masked = batch.texts["masked"]
    assert masked.labels is not None
    nothing = replace(masked, labels=torch.full_like(masked.labels, -100))
    batch = replace(batch, texts={**batch.texts, "masked": nothing})
    accumulate(Alone(objective), objective, batch, 4)
    assert objective.parts["mlm"].item() == 0
    assert not gradients(objective)["losses.mlm.head.weight"].any()


def test_evaluating_under_no_grad_gives_the_losses_without_gradient() -> None:
    objective = start(clip_and_words, SoloGroup())
    batch = batch_for(objective)
    with torch.no_grad():
        scalar = objective(batch, MicroBatchTerm(objective.count(batch)))
    assert not scalar.requires_grad
    contrastive, mlm = by_hand(objective, batch)
    assert scalar.item() == pytest.approx((contrastive + mlm / 2).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("contrastive", r"losses\.contrastive: .* shape \[32\]; a batch loss returns a scalar"),
        ("mlm", r"losses\.mlm: .* shape \[\]; an item loss returns one number a row"),
    ],
)
def test_a_loss_of_the_wrong_shape_is_named(name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = start(clip_and_words, SoloGroup())
    wrong = torch.zeros(32) if name == "contrastive" else torch.zeros(())
    monkeypatch.setattr(objective.losses[name], "forward", lambda *given: wrong)
    batch = batch_for(objective)
    with pytest.raises(PluginError, match=expected):
        objective(batch, MicroBatchTerm(objective.count(batch)))


def test_a_loss_that_reads_a_fact_which_the_data_lacks_is_named() -> None:
    objective = start(flava, SoloGroup())
    assert objective.facts() == {"group", "matched"}
    batch = batch_for(objective)
    batch = replace(batch, facts={"group": batch.facts["group"], "label": batch.facts["id"]})
    expected = r"losses\.itm reads the fact 'matched', which not every sample has \(the dataset gives: group, label\)"
    with pytest.raises(RecipeError, match=expected):
        objective.count(batch)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_what_is_reported_is_the_mean_over_the_rows_of_the_step(micro_batches: int) -> None:
    objective, plain = start(flava, SoloGroup()), start(flava, SoloGroup())
    batch = batch_for(objective)
    for _ in range(2):  # the second step begins anew
        accumulate(Alone(objective), objective, batch, micro_batches)
    found = means([objective.numbers()])
    joint = plain._outputs(batch, grad=False).joint("clean", "given")
    right = plain.model.fusion.match(joint.pooled).argmax(1) == batch.facts["matched"]
    assert found["matched right"] == pytest.approx(right.double().mean().item(), rel=1e-12)
    assert found["scale"] == pytest.approx(5.0)
