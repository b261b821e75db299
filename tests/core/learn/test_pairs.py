"""Joint representations of pairs from anywhere in the global batch, against the same written out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmx.errors import RecipeError
from mmx.learn.accumulate import accumulate
from mmx.learn.global_batch import Feature
from mmx.learn.objective import Objective
from mmx.parts.batch import Batch, Encoded, Words
from mmx.parts.group import SoloGroup
from mmx_kit.layouts import Alone, gradients
from toys.blip2 import QueryFusion
from toys.layouts import assert_same, start
from toys.matching import MatchingOverAll, draw, gumbel
from toys.systems import Build, batch_for, blip2, make_model, make_objective, merged


def only(build: Build, group: SoloGroup) -> Objective:
    """Return a system's matching loss alone."""
    model = build(group).model
    return make_objective(model, {"itm": MatchingOverAll()}, group)


def by_hand(objective: Objective, batch: Batch) -> Tensor:
    """Return the loss with every pair joined alone: each own one, each image with a hard text, each text with a hard image."""
    model, fusion, words = objective.model, objective.model.fusion, batch.texts["clean"]
    seen = model.encode_image(batch.images["clean"])
    assert seen.tokens is not None
    with torch.no_grad():
        images, texts = fusion.embed_image(seen, model.text_encoder), model.embed_text(words)
        logits = fusion.scale() * fusion.similarity(images, texts)
    group, sample = batch.facts["group"], batch.facts["id"]
    allowed = group.unsqueeze(1) != group
    text = draw(logits, allowed, gumbel(sample.unsqueeze(1), sample, 2 * batch.step))
    image = draw(logits.mT, allowed, gumbel(sample.unsqueeze(1), sample, 2 * batch.step + 1))
    terms: list[Tensor] = []
    for row in range(len(words)):
        for one, other, label in ((row, row, 1), (row, int(text[row]), 0), (int(image[row]), row, 0)):
            encoded = Encoded(seen.pooled[one : one + 1], seen.tokens[one : one + 1])
            read = Words(words.ids[other : other + 1], words.mask[other : other + 1])
            joint = fusion.join(encoded, read, model.text_encoder, "fuse")
            terms.append(F.cross_entropy(fusion.match(joint.pooled), torch.tensor([label])))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("micro_batches", [1, 4])
@pytest.mark.parametrize("build", [blip2, merged], ids=["read again", "fused"])
def test_loss_and_gradients_are_those_written_by_hand(build: Build, micro_batches: int) -> None:
    torch.manual_seed(0)
    objective = only(build, SoloGroup())
    torch.manual_seed(0)
    plain = only(build, SoloGroup())
    batch = batch_for(objective, step=2)
    accumulate(Alone(objective), objective, batch, micro_batches)
    expected = by_hand(plain, batch)
    expected.backward()
    assert objective.parts["itm"].item() == pytest.approx(expected.item(), rel=1e-12)
    assert_same(gradients(objective), gradients(plain))


def test_a_piece_has_the_pairs_of_a_micro_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = start(blip2, SoloGroup())
    rows: list[int] = []
    join = QueryFusion.join

    def counting(self: QueryFusion, image: Encoded, words: Words, reader: object, mode: str) -> object:
        rows.append(len(words) if mode == "fuse" else 0)
        return join(self, image, words, reader, mode)  # pyright: ignore

    monkeypatch.setattr(QueryFusion, "join", counting)
    accumulate(Alone(objective), objective, batch_for(objective), 4)
    assert [count for count in rows if count] == 8 * [3 * 8]  # each piece is computed once more for its gradient


@pytest.mark.parametrize("micro_batches", [1, 4])
@pytest.mark.parametrize("build", [blip2, merged], ids=["read again", "fused"])
def test_weights_in_bf16_meet_features_in_fp32(build: Build, micro_batches: int) -> None:
    exact = start(build, SoloGroup()).float()
    half = start(build, SoloGroup()).float().to(torch.bfloat16)
    for objective in (exact, half):
        accumulate(Alone(objective), objective, batch_for(objective), micro_batches)
    assert half.parts["itm"].dtype == torch.float32
    assert half.parts["itm"].item() == pytest.approx(exact.parts["itm"].item(), rel=0.05)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_pairs_are_computed_as_the_engine_computes(micro_batches: int) -> None:
    objective = start(merged, SoloGroup()).float()
    seen: list[torch.dtype] = []
    objective.computing = lambda: torch.autocast("cpu", torch.bfloat16)
    match = objective.model.fusion.match

    def noting(pooled: Tensor) -> Tensor:
        found = match(pooled)
        seen.append(found.dtype)
        return found

    objective.model.fusion.match = noting  # pyright: ignore[reportAttributeAccessIssue]
    accumulate(Alone(objective), objective, batch_for(objective), micro_batches)
    assert set(seen) == {torch.bfloat16}
    assert objective.parts["itm"].dtype == torch.float32


def test_a_tower_without_tokens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = make_objective(make_model(QueryFusion(), cross=True), {"itm": MatchingOverAll()}, SoloGroup())
    encode = objective.model.encode_image
    monkeypatch.setattr(objective.model, "encode_image", lambda view: Encoded(encode(view).pooled))
    outputs = objective._outputs(batch_for(objective), grad=False)
    with pytest.raises(
        RecipeError, match="joins images of all rows by their tokens, and the image encoder returns none"
    ):
        outputs.pull(Feature("image.tokens", "clean"))
