"""One process: what it adds around the objective."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmx.errors import RecipeError
from mmx.learn.groups import parameter_groups
from mmx.learn.objective import MicroBatchTerm, Objective
from mmx.parts.group import SoloGroup
from mmx.parts.lazy import gathered
from mmx.runs.ledger import read
from mmx_local.config import LocalConfig
from mmx_local.engine import LocalEngine
from mmx_optim.configs import AdamWConfig
from mmx_optim.optimizers import AdamW
from toys.systems import batch_for, clip


def engine(objective: Objective, **options: object) -> LocalEngine:
    one = LocalEngine(LocalConfig.model_validate({"name": "local", "device": "cpu", **options}))
    config = AdamWConfig(name="adamw", lr=0.01, weight_decay=0.1)
    one.prepare(objective, AdamW(config).over(parameter_groups(objective, config)))
    return one


def seeded() -> Objective:
    torch.manual_seed(0)
    return clip(SoloGroup()).float()


def gradients(objective: Objective) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_adds_the_gradients_that_the_contract_defines(micro_batches: int) -> None:
    expected, objective = seeded(), seeded()
    batch = batch_for(expected)
    expected(batch, MicroBatchTerm(expected.count(batch))).backward()
    engine(objective).backward(batch, micro_batches)
    found = gradients(objective)
    assert found.keys() == gradients(expected).keys()
    for name, gradient in gradients(expected).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_clips_to_the_norm_and_returns_the_one_before() -> None:
    objective = seeded()
    one = engine(objective)
    one.backward(batch_for(objective), 1)
    before = torch.cat([g.flatten() for g in gradients(objective).values()]).norm()
    assert one.clip(0.01) == pytest.approx(float(before), rel=1e-5)
    after = torch.cat([g.flatten() for g in gradients(objective).values()]).norm()
    assert float(after) == pytest.approx(0.01, rel=1e-3)


def test_without_a_norm_nothing_is_clipped() -> None:
    objective = seeded()
    one = engine(objective)
    one.backward(batch_for(objective), 1)
    before = gradients(objective)
    one.clip(None)
    assert all(torch.equal(gradient, before[name]) for name, gradient in gradients(objective).items())


def test_a_step_moves_weights_and_clears_gradients() -> None:
    objective = seeded()
    one = engine(objective)
    weights = {name: p.detach().clone() for name, p in objective.named_parameters()}
    one.backward(batch_for(objective), 1)
    one.clip(None)
    assert one.step() is True
    assert gradients(objective) == {}
    moved = [name for name, p in objective.named_parameters() if not torch.equal(p, weights[name])]
    assert "model.fusion.logit_scale" in moved or len(moved) > 3


def test_a_restored_engine_takes_the_same_next_step() -> None:
    first, second = seeded(), seeded()
    one, other = engine(first), engine(second)
    batch = batch_for(first)
    one.backward(batch, 1)
    one.clip(None)
    one.step()
    second.load_state_dict(first.state_dict())
    tensors, values = one.state()
    other.load(gathered(tensors), values)
    for each, objective in ((one, first), (other, second)):
        each.backward(batch_for(objective, 1), 1)
        each.clip(None)
        each.step()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_bf16_runs_towers_in_half_and_losses_in_full_precision() -> None:
    objective, exact = seeded(), seeded()
    batch = batch_for(objective)
    seen: list[torch.dtype] = []
    objective.model.image_encoder.register_forward_hook(lambda module, args, out: seen.append(out.pooled.dtype))
    engine(objective, precision="bf16").backward(batch, 1)
    engine(exact).backward(batch, 1)
    assert seen[-1] == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in objective.parts.values())
    for name, gradient in gradients(exact).items():
        half = gradients(objective)[name]
        assert float((half - gradient).norm()) <= 0.1 * float(gradient.norm()) + 1e-4, name


def test_says_what_it_runs_on() -> None:
    text = engine(seeded()).describe()
    assert "CPU threads" in text and "fp32" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asks_for_a_gpu_only_where_there_is_one() -> None:
    with pytest.raises(RecipeError, match=r'parallel\.device = "cuda".*"auto" or "cpu"'):
        LocalEngine(LocalConfig(name="local", device="cuda"))


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(RecipeError, match=r'parallel\.precision = "fp16" needs a GPU'):
        LocalEngine(LocalConfig(name="local", device="cpu", precision="fp16"))


@pytest.mark.slow
def test_compiled_towers_train_alike(tmp_path: Path) -> None:
    """In processes of their own: what checks types in tests cannot be compiled."""
    short = ["train.steps=3", "data.batch=16", "data.workers=0", "optim.schedule.warmup=0"]
    losses: list[list[float]] = []
    for name, compiled in (("plain", "false"), ("compiled", "true")):
        options = [word for value in [*short, f"parallel.compile={compiled}"] for word in ("--set", value)]
        command = [sys.executable, "-m", "mmx", "run", "quickstart", "--unset", "evaluators", "--quiet", *options]
        subprocess.run([*command, "--out", str(tmp_path), "--name", name], check=True)
        losses.append([entry.loss for entry in read(tmp_path / name / "ledger.jsonl")])
    assert len(losses[0]) == 3 and losses[0][0] != losses[0][2]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
