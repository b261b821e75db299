"""Options of the ColossalAI engine, and what can be told of them without torch."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field
from typing_extensions import override

from mmx.config import EngineConfig, Layout
from mmx.plugin.versions import version

if TYPE_CHECKING:
    from mmx.learn.objective import Objective

VERSION: Final = "0.5.0"
INSTALL: Final = f"pip install 'mmx[colossalai]' && pip install --no-deps colossalai=={VERSION}"
NEEDS: Final = ("einops", "galore_torch", "peft", "psutil", "transformers")
"""What ColossalAI imports besides torch; its own metadata pins versions that are older than need be."""
Count = Annotated[int, Field(gt=0)]


class ColossalConfig(EngineConfig):
    """Processes x (tensor x pipeline) = data-parallel ranks."""

    processes: Literal["auto"] | Count = "auto"
    """All processes of the run. "auto": as many as a launcher started; else one for each GPU here; on a CPU, one model's."""
    tensor: Count = 1
    """Processes that each layer is cut over; must divide the attention heads."""
    pipeline: Count = 1
    """Processes that a tower's blocks stand on, one after another; needs at least as many train.micro_batches."""
    sequence: Literal["none", "split_gather", "ring_attention"] = "none"
    """"split_gather" also divides the tokens between cut layers over the tensor-parallel processes: less memory."""
    zero: Literal[0, 1, 2, 3] = 0
    """What data-parallel ranks share out: 1 optimizer state, 2 gradients too, 3 weights too (Gemini). Half precision only."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """fp32, or weights and activations in bf16 with fp32 copies in the optimizer; "auto" is bf16 on GPUs and with ZeRO."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; "auto" takes GPUs if there are any."""
    checkpointing: bool = False
    """Recompute each block in the backward pass, in every tower made of blocks: less memory, a third more work."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that train in one process on a CPU in full precision."""
        return cls(name=name, processes=1, device="cpu", precision="fp32")

    @property
    def model_processes(self) -> int:
        """How many processes hold one copy of the model."""
        return self.tensor * self.pipeline

    @override
    def missing(self) -> str:
        absent = [name for name in ("colossalai", *NEEDS) if importlib.util.find_spec(name) is None]
        if absent:
            return f"{', '.join(absent)} not installed; install what the engine needs:\n  {INSTALL}"
        found = version("colossalai")
        if found != VERSION:
            return f"colossalai {found} is installed, the engine is made for {VERSION}:\n  {INSTALL}"
        return ""

    @override
    @classmethod
    def joins(cls) -> bool:
        return True

    @override
    def processes_here(self) -> int:
        if self.processes != "auto":
            return self.processes
        gpus = 0 if self.device == "cpu" else visible_gpus()
        return max(gpus - gpus % self.model_processes, self.model_processes)

    @override
    def alone(self) -> Self:
        return self.model_copy(
            update={
                "processes": 1,
                "tensor": 1,
                "pipeline": 1,
                "sequence": "none",
                "zero": 0,
                "precision": "bf16" if self.zero and self.precision == "auto" else self.precision,
            }
        )

    @override
    def refusals(self, batch: int, micro_batches: int) -> Iterator[tuple[str, str]]:
        if self.processes != "auto":
            yield from self.refusals_of(self.processes, batch, micro_batches)
        if self.zero and self.precision == "fp32":
            yield (
                "zero",
                'shares out the fp32 copies of half-precision weights, so it needs precision = "bf16"; the nearest '
                "layouts: zero = 0 with fp32, or bf16",
            )
        if self.zero == 3:
            yield (
                "zero",
                "3 is Gemini, whose kernels need GPUs and a CUDA toolkit, and which mmx does not run yet; the nearest "
                "layout: zero = 2",
            )
        if self.zero == 2 and self.pipeline > 1:
            yield "zero", "2 would exchange gradients once a micro-batch of a pipeline; the nearest layout: zero = 1"
        if self.sequence == "ring_attention":
            yield (
                "sequence",
                "ring attention needs GPUs and causal attention in every tower, which an image tower has not; the "
                'nearest layout: sequence = "split_gather"',
            )
        elif self.sequence != "none" and self.tensor == 1:
            yield "sequence", "divides tokens over the tensor-parallel processes: set tensor = 2 or more"
        if micro_batches < self.pipeline:
            yield (
                "pipeline",
                f"{self.pipeline} stages need at least as many micro-batches to work at once, not {micro_batches}: "
                f"set train.micro_batches = {_multiple(batch, self.pipeline)}",
            )

    @override
    def divides(self) -> bool:
        return self.model_processes > 1

    @override
    def cuts(self) -> Sequence[str]:
        return [name for name, on in (("tensor", self.tensor > 1), ("zero", self.zero > 0)) if on]

    @override
    def refuse(self, objective: Objective) -> None:
        from mmx_colossalai.refusals import refuse

        refuse(objective, self.tensor, self.pipeline, self.sequence != "none")

    def refusals_of(self, processes: int, batch: int, micro_batches: int) -> Iterator[tuple[str, str]]:
        """Yield what cannot work with a number of processes."""
        if processes % self.model_processes:
            near = max(1, round(processes / self.model_processes)) * self.model_processes
            yield (
                "processes",
                f"should be a multiple of tensor x pipeline = {self.model_processes}, as {near} is, not {processes}",
            )
            return
        ranks = processes // self.model_processes
        if batch % (ranks * micro_batches):
            near = max(1, round(batch / (ranks * micro_batches))) * ranks * micro_batches
            yield (
                "processes",
                f"makes {ranks} data-parallel ranks: data.batch = {batch} should divide into {ranks} x "
                f"train.micro_batches = {micro_batches} equal parts, as {near} does",
            )

    @override
    @classmethod
    def layouts(cls) -> Mapping[str, Layout]:
        return {
            "dp2": _layout(2),
            "tp2": _layout(2, tensor=2),
            "sp2": _layout(2, tensor=2, sequence="split_gather"),
            "pp2": _layout(2, 4, pipeline=2),
            "dp2xbf16": _layout(2, precision="bf16"),
            "pp2xbf16": _layout(2, 4, precision="bf16", pipeline=2),
            "zero1x2": _layout(2, zero=1),
            "zero2x2": _layout(2, zero=2),
            "dp2xaccumulate2": _layout(2, 2),
            "zero2x2xaccumulate2": _layout(2, 2, zero=2),
            "tp2xdp2": _layout(4, tensor=2),
            "tp2xpp2": _layout(4, 4, tensor=2, pipeline=2),
            "pp2xdp2": _layout(4, 4, pipeline=2),
            "tp2xzero1x2": _layout(4, tensor=2, zero=1),
            "pp2xzero1x2": _layout(4, 4, pipeline=2, zero=1),
        }

    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        missing = cls(name="colossalai").missing()
        if missing:
            return
        versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
        yield f"ColossalAI {VERSION} with {versions}"
        gpus = visible_gpus()
        modes = "data, tensor, split_gather sequence and pipeline parallel, ZeRO-1 and ZeRO-2"
        if gpus:
            yield f"{gpus} GPUs over NCCL: {modes}; not Gemini, not ring attention"
        else:
            yield f"no GPU: {modes} on {os.cpu_count()} CPUs over gloo; not Gemini, not ring attention"


def visible_gpus() -> int:
    """Return how many NVIDIA GPUs this process may use, without torch; 0 for a build of torch that cannot."""
    if "+cpu" in version("torch"):
        return 0
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([one for one in chosen.split(",") if one.strip() not in ("", "-1")])
    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _layout(processes: int, micro_batches: int = 1, **options: str | int) -> Layout:
    precision = "bf16" if options.get("zero") else "fp32"
    same: dict[str, str | int] = {"processes": processes, "device": "cpu", "precision": precision}
    return Layout({**same, **options}, processes, micro_batches)


def _multiple(batch: int, stages: int) -> int:
    """Return the least number of micro-batches that divides the batch and keeps all stages busy."""
    return next((count for count in range(stages, batch + 1) if batch % count == 0), stages)
