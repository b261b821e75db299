"""What a loss's own tests call it with."""

import pytest
import torch

from mmx.config import LossConfig
from mmx.learn.global_batch import Feature
from mmx_kit import sizes_of, small_model, whole
from mmx_kit.partner_losses import IMAGE, TEXT, PartnerContrast


def test_one_process_has_all_rows_and_a_loss_can_be_called() -> None:
    rows = torch.eye(3)
    features = whole({IMAGE: rows, TEXT: rows}, step=4)
    assert torch.equal(features[IMAGE], rows) and torch.equal(features.all(TEXT), rows)
    assert (features.offset(IMAGE), features.world, features.step) == (0, 1, 4)
    model = small_model(scale=2.0)
    loss = PartnerContrast(LossConfig(name="x"), sizes_of(model))(features, model)
    assert float(loss.detach()) == pytest.approx(float(torch.log(torch.tensor(2.0).exp() + 2) - 2))


def test_rows_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 of image\.embed clean, 2 of fact group"):
        whole({IMAGE: torch.eye(3), Feature("fact", "group"): torch.zeros(2)})


def test_the_model_has_the_scale_that_is_asked_for_and_draws_from_its_own_seed() -> None:
    before = torch.get_rng_state()
    one, same, other = small_model(), small_model(scale=7.0), small_model(seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert float(same.fusion.scale().detach()) == pytest.approx(7.0) and same.fusion.scale().requires_grad
    weights = [next(model.image_encoder.parameters()) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
