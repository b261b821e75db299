"""Hard negatives: the same on every layout only when drawn among fixed blocks, by noise of the samples alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mmx.errors import RecipeError
from mmx.learn.accumulate import inexact
from mmx.parts.group import SoloGroup
from mmx_kit.ranks import Ranks
from toys import matching
from toys.layouts import assert_same, difference, start
from toys.matching import draw, gumbel
from toys.mistakes import matching_and_captions, negatives_from_anywhere
from toys.tasks import one_gradient, refused


def test_blocks_that_lie_within_a_micro_batch_are_exact() -> None:
    assert_same(one_gradient(matching_and_captions, 4), one_gradient(matching_and_captions, 1))
    assert_same(one_gradient(matching_and_captions, 8), one_gradient(matching_and_captions, 1))


def test_a_block_cut_by_a_micro_batch_is_another_gradient() -> None:
    assert difference(one_gradient(matching_and_captions, 16), one_gradient(matching_and_captions, 1)) > 0.01


def test_negatives_from_whatever_rows_are_there_would_be_another_loss_and_are_refused() -> None:
    one_gradient(negatives_from_anywhere, 1)
    with pytest.raises(RecipeError, match=r"losses\.itm: re-pairs the rows of a micro-batch, .* \(Whole\.pairs\)"):
        one_gradient(negatives_from_anywhere, 4)


def test_negatives_of_one_ranks_rows_are_refused(pair: Ranks) -> None:
    assert all("re-pairs the rows" in message for message in pair(refused, negatives_from_anywhere))


def test_blocks_that_micro_batches_would_cut_are_refused_with_the_nearest_batch() -> None:
    objective = start(matching_and_captions, SoloGroup())
    assert inexact(objective, 4, 32) is None and inexact(objective, 1, 30) is None
    message = inexact(objective, 16, 32)
    assert message is not None
    assert message.startswith("losses.itm draws among blocks of 4 rows, and a micro-batch has 2")
    assert message.endswith("set data.batch to 64")


def test_noise_from_the_generator_is_another_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn_anew(one: Tensor, other: Tensor, salt: int) -> Tensor:
        return -torch.log(-torch.log(torch.rand(len(other), len(other))))

    monkeypatch.setattr(matching, "gumbel", drawn_anew)
    assert difference(one_gradient(matching_and_captions, 4), one_gradient(matching_and_captions, 1)) > 0.01


def test_the_noise_is_a_function_of_the_samples_and_looks_like_gumbel() -> None:
    sample = torch.randint(2**31, (300,))
    noise = gumbel(sample.unsqueeze(1), sample, salt=3)
    order = torch.randperm(300)
    assert torch.equal(gumbel(sample[order].unsqueeze(1), sample[order], salt=3), noise[order][:, order])
    assert not torch.equal(gumbel(sample.unsqueeze(1), sample, salt=4), noise)
    assert noise.mean().item() == pytest.approx(np.euler_gamma, abs=0.02)
    assert noise.std().item() == pytest.approx(np.pi / 6**0.5, abs=0.02)


def test_a_forbidden_column_is_never_drawn_however_similar() -> None:
    logits = torch.tensor([[1000.0, 0.0, 1.0]])
    allowed = torch.tensor([[False, True, True]])
    drawn = [draw(logits, allowed, -torch.log(-torch.log(torch.rand(1, 3)))).item() for _ in range(300)]
    assert set(drawn) == {1, 2}
    assert drawn.count(2) / 300 == pytest.approx(np.e / (1 + np.e), abs=0.1)


def test_masking_after_the_softmax_has_nothing_left_to_draw_from() -> None:
    chance = torch.tensor([[1000.0, 0.0, 1.0]]).softmax(1) * torch.tensor([[0.0, 1.0, 1.0]])
    assert chance.sum() == 0
