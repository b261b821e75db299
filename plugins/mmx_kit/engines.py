"""Engines: whatever they do about devices and processes, training comes to what plain torch comes to."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from mmx.parts.engine import Engine
from mmx.parts.lazy import gathered
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError
from mmx_kit.training import CLIP, Trainee, furthest, plain

_STEPS: Final = 3
_CLOSE: Final = 1e-4
"""Weights move by up to 1e-2 a step; rounding in fp32 leaves 1e-6."""
_KIND: Final = ("engine",)


def _exact(case: Case) -> Engine:
    engine: Engine = case.build()
    described = engine.describe()
    if "bf16" in described or "fp16" in described or engine.scaled:
        raise NotApplicableError(f"it computes in half precision with its example options ({described})")
    return engine


def _steps(case: Case) -> None:
    trainee = Trainee(_exact(case))
    trainee.steps(0, _STEPS)
    _same(trainee.weights(), plain(_STEPS)[0], "plain torch (AdamW) comes to")


def _clip(case: Case) -> None:
    trainee = Trainee(_exact(case))
    trainee.steps(0, _STEPS, clip=CLIP)
    weights, norms = plain(_STEPS, clip=CLIP)
    for step, (found, expected) in enumerate(zip(trainee.norms, norms, strict=True)):
        if abs(found - expected) > 1e-3 * expected:
            raise BrokenError(f"clip returned {found:.6g} at step {step}, the norm before clipping is {expected:.6g}")
    _same(trainee.weights(), weights, "plain torch comes to with gradients clipped")


def _micro_batches(case: Case) -> None:
    whole, split = Trainee(_exact(case)), Trainee(_exact(case))
    whole.steps(0, _STEPS)
    split.steps(0, _STEPS, micro_batches=3)
    _same(split.weights(), whole.weights(), "one micro-batch gives")


def _resumes(case: Case) -> None:
    unbroken, first = Trainee(_exact(case)), Trainee(_exact(case))
    unbroken.steps(0, 2 * _STEPS)
    first.steps(0, _STEPS)
    tensors, values = first.engine.state()
    second = Trainee(_exact(case), first.weights())
    second.engine.load({name: value.clone() for name, value in gathered(tensors).items()}, values)
    second.steps(_STEPS, 2 * _STEPS)
    _same(second.weights(), unbroken.weights(), "an unbroken run comes to (state and load, in between)")


def _same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    if set(found) != set(expected):
        odd = sorted(set(found) ^ set(expected))[0]
        raise BrokenError(f"weights has other names than the objective had before prepare: '{odd}'")
    name, gap = furthest(found, expected)
    if not gap <= _CLOSE:
        raise BrokenError(f"{name} is {gap:.2g} off what {what}; at most {_CLOSE:g} is rounding")


ENGINE_CHECKS: Final = (
    Check("plain steps", "a few steps come to what plain torch comes to", _KIND, _steps),
    Check("clipping", "clip returns the gradient's norm before clipping, and clips to the one given", _KIND, _clip),
    Check("micro-batches", "a batch in micro-batches gives the step of the whole batch", _KIND, _micro_batches),
    Check("resuming", "what state returns, load takes back: training goes on as if unbroken", _KIND, _resumes),
)
