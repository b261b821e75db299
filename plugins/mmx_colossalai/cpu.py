"""All that ColossalAI 0.5.0 lacks on CPUs. On a GPU nothing of this is used.

- its CPU accelerator raises for streams, seeds, caches and synchronisation, which mean nothing on a CPU;
- its pipelines ask ``torch.distributed`` for Ascend's HCCL, which CPU builds of torch do not know;
- its ZeRO optimizer requires a device by name, and marks tensors for streams.
"""

import contextlib
from typing import Any

import torch
import torch.distributed as dist
from colossalai.accelerator import set_accelerator
from colossalai.accelerator.cpu_accelerator import CpuAccelerator
from colossalai.zero.low_level import low_level_optim
from typing_extensions import override


class _Stream:
    def wait_stream(self, other: object) -> None:
        """Wait for nothing: a CPU does one thing after another."""


class _Cpu(CpuAccelerator):
    @override
    def current_device(self) -> Any:
        return torch.device("cpu")

    @override
    def synchronize(self, device: object = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass

    @override
    def empty_cache(self) -> None:
        pass

    @override
    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    @override
    def get_rng_state(self, device: object = None) -> torch.Tensor:
        return torch.get_rng_state()

    @override
    def Stream(self, device: object = None, priority: int = 0, **options: object) -> _Stream:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Stream()

    @override
    def current_stream(self, device: object = None) -> _Stream:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Stream()

    @override
    def stream(self, stream_: object) -> Any:
        return contextlib.nullcontext()


class _ZeroDevice(_Cpu):
    """The same, under a name that the ZeRO optimizer takes for one of a device."""

    @property
    @override
    def name(self) -> str:
        return "npu"


def support_cpu() -> None:
    """Let ColossalAI run on CPUs in this process."""
    set_accelerator(_Cpu())
    if not hasattr(dist, "is_hccl_available"):
        dist.is_hccl_available = lambda: False  # pyright: ignore[reportAttributeAccessIssue]
    low_level_optim.get_accelerator = _ZeroDevice
