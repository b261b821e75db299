"""The loss as a function."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmx_clip.contrastive import Groups, contrastive


def features(rows: int = 6, width: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    image, text = (functional.normalize(torch.randn(rows, width, dtype=torch.float64), dim=1) for _ in range(2))
    return image.requires_grad_(), text.requires_grad_(), torch.tensor(7.0, dtype=torch.float64, requires_grad=True)


def whole(image: Tensor, text: Tensor, scale: Tensor, groups: Tensor | None = None, **options: float | bool) -> Tensor:
    positive, smoothing = bool(options.get("positive", False)), float(options.get("smoothing", 0.0))
    made = None if groups is None else Groups(groups, positive)
    return contrastive(image, text, scale, groups=made, smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_equals_symmetric_cross_entropy_with_its_gradients(smoothing: float) -> None:
    image, text, scale = features()
    logits = scale * image @ text.T
    target = torch.arange(6)
    expected = sum(functional.cross_entropy(z, target, label_smoothing=smoothing) for z in (logits, logits.T))
    assert isinstance(expected, Tensor)
    found = whole(image, text, scale, smoothing=smoothing)
    torch.testing.assert_close(found, expected / 2)
    ours, theirs = (torch.autograd.grad(loss, (image, text, scale)) for loss in (found, expected / 2))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_groups_equal_soft_targets_with_all_gradients(positive: bool, smoothing: float) -> None:
    image, text, scale = features()
    groups = torch.tensor([4, 1, 4, 2, -1, -1])
    same = (groups[:, None] == groups) & (groups >= 0) | torch.eye(6, dtype=torch.bool)
    kept = torch.ones_like(same) if positive else ~same | torch.eye(6, dtype=torch.bool)
    target = same / same.sum(dim=1, keepdim=True) if positive else torch.eye(6)
    target = (1 - smoothing) * target + smoothing * kept / kept.sum(dim=1, keepdim=True)
    logits = (scale * image @ text.T).masked_fill(~kept, -1e9)
    losses = [-(target * kept * z.log_softmax(dim=1)).sum(dim=1).mean() for z in (logits, logits.T)]
    expected = torch.stack(losses).mean()
    found = whole(image, text, scale, groups, positive=positive, smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad(loss, (image, text, scale)) for loss in (found, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_rows_of_a_group_are_left_out(smoothing: float) -> None:
    image, text, scale = features()
    groups = torch.tensor([4, 1, 4, 2, -1, -1])  # rows 0 and 2 show the same; 4 and 5 are in no group
    total = torch.zeros((), dtype=torch.float64)
    for one, other in ((image, text), (text, image)):
        for row in range(6):
            kept = [column for column in range(6) if column == row or {row, column} != {0, 2}]
            logits = scale * one[row] @ other[kept].T
            total = total + functional.cross_entropy(logits, torch.tensor(kept.index(row)), label_smoothing=smoothing)
    torch.testing.assert_close(whole(image, text, scale, groups, smoothing=smoothing), total / 12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_rows_of_a_group_can_share_the_target(smoothing: float) -> None:
    image, text, scale = features()
    groups = torch.tensor([4, 1, 4, 2, -1, -1])
    target = torch.eye(6, dtype=torch.float64)
    target[0, 2] = target[2, 0] = target[0, 0] = target[2, 2] = 0.5
    logits = scale * image @ text.T
    expected = sum(functional.cross_entropy(z, target, label_smoothing=smoothing) for z in (logits, logits.T))
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(whole(image, text, scale, groups, positive=True, smoothing=smoothing), expected / 2)


def test_groups_of_one_change_nothing() -> None:
    image, text, scale = features()
    plain = whole(image, text, scale)
    torch.testing.assert_close(whole(image, text, scale, torch.arange(6)), plain)
    torch.testing.assert_close(whole(image, text, scale, torch.full((6,), -1), positive=True), plain)


def test_a_batch_of_one_group_has_no_negatives_and_finite_gradients() -> None:
    image, text, scale = features()
    loss = whole(image, text, scale, torch.zeros(6, dtype=torch.int64))
    assert loss.item() == pytest.approx(0.0)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, (image, text, scale)))


def test_autocast_does_not_touch_the_logits() -> None:
    image, text, _ = (value.detach().float() for value in features())
    scale = torch.tensor(100.0)
    with torch.autocast("cpu", torch.bfloat16):
        half = whole(image, text, scale)
    assert torch.equal(half, whole(image, text, scale))


def test_the_largest_scale_does_not_overflow() -> None:
    image, text, _ = (value.detach().float() for value in features())
    assert whole(image, -image, torch.tensor(100.0)).isfinite()
    assert whole(image, image, torch.tensor(100.0)).item() < whole(image, text, torch.tensor(100.0)).item()
