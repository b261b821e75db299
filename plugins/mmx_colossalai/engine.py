"""The engine: an objective on many processes, through ColossalAI's Booster."""

import logging
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar, cast, final

import torch
import torch.distributed as dist
from torch import Tensor
from typing_extensions import override

from mmx.errors import CheckpointError, MissingPackageError, RecipeError
from mmx.launch.rank import Rank, find
from mmx.learn.accumulate import accumulate
from mmx.learn.norm import shield_batch_norms
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine
from mmx.parts.group import SoloGroup, TorchGroup
from mmx.parts.lazy import LazyTensor, Tensors
from mmx.parts.sharding import Stack
from mmx.wording import counted
from mmx_colossalai.config import ColossalConfig
from mmx_colossalai.mesh import Mesh, company, meet
from mmx_colossalai.noise import quiet

T = TypeVar("T")


@final
class ColossalEngine(Engine):
    """Divides an objective over processes as its options say, and trains it as one process would.

    Raises:
        MissingPackageError: ColossalAI is not installed; the message has the line that installs it.
        RecipeError: the number of processes does not fit the layout.
    """

    def __init__(self, config: ColossalConfig) -> None:
        missing = config.missing()
        if missing:
            raise MissingPackageError(f'parallel.engine = "colossalai": {missing}')
        place = find(os.environ)
        self._config = config
        self._place = place
        self.device = _device(config, place)
        self._ours = meet(place, self.device, os.environ)
        self.processes = dist.get_world_size()
        _refuse_number(config, self.processes)
        self._plain = dist.new_group(backend="gloo") if self.device.type == "cuda" else None
        ranks = self.processes // config.model_processes
        self.zero = config.zero if ranks > 1 else 0
        self.precision = _precision(config, self.device, self.zero)
        self._booster = _booster(config, self.precision, self.zero, self.device)
        plugin = self._booster.plugin
        self.mesh = Mesh(plugin.dp_group, plugin.tp_group, plugin.pp_group, self.processes, self.device)
        self.group = TorchGroup(plugin.dp_group) if ranks > 1 else SoloGroup()
        self.main = dist.get_rank() == 0
        self.scaled = False

    @override
    def describe(self) -> str:
        mesh = self.mesh
        sizes = ((mesh.data_size, "data"), (mesh.tensor_size, "tensor"), (mesh.stages, "pipeline"))
        shape = " x ".join(f"{size} {name}" for size, name in sizes if size > 1)
        shared = f", ZeRO-{self.zero}" if self.zero else ", no ZeRO with one data-parallel rank"
        zero = shared if self._config.zero else ""
        split = ", tokens split" if self._config.sequence != "none" else ""
        where = (
            torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else f"CPU, {counted(torch.get_num_threads(), 'thread')} each"
        )
        count = f"{self.processes} processes ({shape} parallel{zero}{split})" if shape else "1 process"
        return f"{count} by ColossalAI on {where}, {self.precision}"

    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        from mmx_colossalai.division import Division

        # Those that train on a group do so already; ColossalAI would make SyncBatchNorm of the rest, which needs GPUs.
        shield_batch_norms(objective)
        for stack in objective.modules():
            if isinstance(stack, Stack) and self._config.checkpointing:
                stack.checkpointing = True
        state = torch.get_rng_state()
        self._division = Division(objective, self.mesh, self.precision, self.zero, self._config.sequence != "none")
        self._division.boost(self._booster, optimizer)
        torch.set_rng_state(state)
        self._objective = objective

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None:
        division = self._division
        with quiet(), company():
            if division.pipeline is not None:
                division.pipeline.backward(batch, micro_batches, division.update)
            else:
                accumulate(self, self._objective, batch, micro_batches)
            division.update.average()

    def features(self, batch: Batch) -> Features:
        """Run the objective for features, without gradient and without its wrappers."""
        return cast(Features, self._objective(batch, None))

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        """Run the objective for a scalar and add its gradient; ranks exchange theirs when ``last``."""
        division = self._division
        with nullcontext() if last else division.silent():
            division.update.wrapped.backward(division.wrapped(batch, share))

    @override
    def clip(self, norm: float | None) -> float:
        update = self._division.update
        with company():
            found = update.norm(self._division.shards.is_cut)
        if norm is not None and found > norm:
            update.scale(norm / (found + 1e-6))
        return found

    @override
    def step(self) -> bool:
        with quiet(), company():
            self._division.step()
        return True

    @override
    def weights(self) -> Tensors:
        return _in_company(self._division.weights())

    @override
    def gradients(self) -> dict[str, Tensor]:
        return self._division.gradients()

    @override
    def reached(self) -> set[str]:
        return {slot.name for slot, _ in self._division.update.gradients()}

    @override
    def state(self) -> tuple[Tensors, dict[str, Any]]:
        return _in_company(self._division.optimizer_state(self.everyone)), {"optimizer": self._division.update.name}

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        foreign = self._division.load(tensors)
        if foreign:
            raise CheckpointError(
                f"the checkpoint has optimizer state of parameters that are not trained now: {', '.join(foreign[:5])}"
            )

    @override
    def everyone(self, value: T) -> list[T]:
        if self.processes == 1:
            return [value]
        found: list[Any] = [None] * self.processes
        with company():
            dist.all_gather_object(found, value, group=self._plain)
        return cast("list[T]", found)

    @override
    def close(self) -> None:
        if self._ours and dist.is_initialized():
            dist.destroy_process_group()


def _in_company(tensors: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
    """Return tensors that say, while they are put together, which process is missing."""

    def accompanied(lazy: LazyTensor) -> LazyTensor:
        def gather() -> Tensor | None:
            with company():
                return lazy.gather()

        return replace(lazy, gather=gather)

    return {name: accompanied(lazy) for name, lazy in tensors.items()}


def _device(config: ColossalConfig, place: Rank) -> torch.device:
    found = torch.cuda.is_available()
    if config.device == "cuda" and not found:
        raise RecipeError(
            'parallel.device = "cuda", but torch finds no GPU; use "auto" or "cpu", or install a CUDA build of torch'
        )
    if config.device == "cpu" or not found:
        return torch.device("cpu")
    if place.local_rank >= torch.cuda.device_count():
        raise RecipeError(
            f"process {place.rank} is number {place.local_rank} of this machine, which has "
            f'{torch.cuda.device_count()} GPUs: start one process for each, or set parallel.device = "cpu"'
        )
    torch.cuda.set_device(place.local_rank)
    return torch.device("cuda", place.local_rank)


def _refuse_number(config: ColossalConfig, processes: int) -> None:
    if config.processes not in ("auto", processes):
        raise RecipeError(
            f'parallel.processes = {config.processes}, but this run has {processes}: leave it "auto" where a launcher '
            "starts the processes"
        )
    for key, reason in config.refusals_of(processes, processes * 10**6, 1):
        raise RecipeError(f"parallel.{key} = {processes} {reason}")


def _precision(config: ColossalConfig, device: torch.device, zero: int) -> str:
    if config.precision != "auto":
        return config.precision
    return "bf16" if zero or device.type == "cuda" else "fp32"


def _booster(config: ColossalConfig, precision: str, zero: int, device: torch.device) -> Any:
    # The import takes seconds and warns of what mmx does not use.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with quiet(Warning):
        from colossalai.booster import Booster
        from colossalai.booster.plugin import HybridParallelPlugin
        from colossalai.logging import get_dist_logger

        from mmx_colossalai.policy import CutPolicy

        get_dist_logger()  # which sets a level when it is made
        logging.getLogger("colossalai").setLevel(logging.ERROR)

        if device.type == "cpu":
            from mmx_colossalai.cpu import support_cpu

            support_cpu()
        split = config.sequence != "none"
        plugin = cast(Any, HybridParallelPlugin)(
            tp_size=config.tensor,
            pp_size=config.pipeline,
            enable_sequence_parallelism=split,
            sequence_parallelism_mode="split_gather" if split else None,
            precision=precision,
            zero_stage=zero,
            microbatch_size=1,
            enable_metadata_cache=False,
            custom_policy=CutPolicy(config.tensor, split),
            max_norm=0.0,
            overlap_communication=device.type == "cuda",
            broadcast_buffers=False,
            find_unused_parameters=True,  # what no loss of a step reaches has no gradient, and does not move
        )
        return Booster(plugin=plugin)
