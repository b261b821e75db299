"""From blocks that say how they are cut to ColossalAI's policy, which cuts them."""

from typing import Any, cast

from colossalai.shardformer.layer import FusedLinear1D_Col, Linear1D_Col, Linear1D_Row
from colossalai.shardformer.layer.utils import SeqParallelUtils
from colossalai.shardformer.policies.base_policy import (
    ModulePolicyDescription,
    Policy,
    SubModuleReplacementDescription,
)
from torch import nn
from typing_extensions import override

from mmx.learn.objective import Objective
from mmx.parts.sharding import Cut, Stack, cut_of
from mmx_colossalai.shards import Slice


class CutPolicy(Policy):
    """Cuts every module that has a ``cut``, whatever tower it is in. Stages are laid out elsewhere."""

    def __init__(self, tensor: int, sequence: bool) -> None:
        super().__init__()
        self._tensor = tensor
        self._sequence = sequence

    @override
    def config_sanity_check(self) -> None:
        pass

    @override
    def preprocess(self) -> nn.Module:
        return cast(nn.Module, self.model)

    @override
    def module_policy(self) -> dict[Any, ModulePolicyDescription]:
        if self._tensor == 1:
            return {}
        # One description a class, since ColossalAI goes by classes; what differs by module is read from each module.
        found = {type(module): module for module in cast(nn.Module, self.model).modules() if cut_of(module)}
        return {kind: self._description(module) for kind, module in found.items()}

    def _description(self, module: nn.Module) -> ModulePolicyDescription:
        cut = cast(Cut, cut_of(module))
        options: dict[str, Any] = {"seq_parallel_mode": "split_gather"} if self._sequence else {}
        parts = [
            SubModuleReplacementDescription(name, cast(Any, _Columns), {**options, "fused": fused})
            for name, fused in cut.columns.items()
        ]
        parts += [SubModuleReplacementDescription(name, cast(Any, _Rows), dict(options)) for name in cut.rows]
        return ModulePolicyDescription(sub_module_replacement=parts)

    @override
    def postprocess(self) -> nn.Module:
        model = cast(nn.Module, self.model)
        for module in model.modules():
            cut = cut_of(module)
            for name in cut.divided if cut is not None else ():
                setattr(module, name, getattr(module, name) // self._tensor)
        return model

    @override
    def get_held_layers(self) -> list[nn.Module]:
        return [cast(nn.Module, self.model)]


class _Columns(FusedLinear1D_Col):
    """A layer whose outputs are divided: one matrix, or several equal ones such as queries, keys and values."""

    @staticmethod
    @override
    def from_native_module(module: Any, process_group: Any, fused: int, **options: Any) -> Any:
        if module.weight is None:  # of another pipeline stage
            return module
        if fused == 1:
            return Linear1D_Col.from_native_module(module, process_group, **options)
        sizes = [module.out_features // fused] * fused
        return FusedLinear1D_Col.from_native_module(module, process_group, sizes, **options)


class _Rows(Linear1D_Row):
    """A layer whose inputs are divided."""

    @staticmethod
    @override
    def from_native_module(module: Any, process_group: Any, **options: Any) -> Any:
        return module if module.weight is None else Linear1D_Row.from_native_module(module, process_group, **options)


def slices(objective: Objective) -> dict[str, Slice]:
    """Return, before anything is cut, which tensors are going to be, by name."""
    found: dict[str, Slice] = {}
    for path, module in objective.named_modules():
        cut = cut_of(module)
        if cut is None:
            continue
        for name, fused in cut.columns.items():
            found |= {f"{path}.{name}.weight": Slice(0, fused), f"{path}.{name}.bias": Slice(0, fused)}
        found |= {f"{path}.{name}.weight": Slice(1, 1) for name in cut.rows}
    return found


def mark_partial(objective: Objective, cut: dict[str, Slice]) -> None:
    """Mark what every tensor-parallel process uses on its own tokens only, so that its gradients are summed."""
    for path, module in objective.named_modules():
        if isinstance(module, Stack):
            for name, parameter in module.named_parameters():
                if f"{path}.{name}" not in cut:
                    SeqParallelUtils.marked_as_sp_partial_derived_param(parameter)
