"""Options of the local engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from typing_extensions import override

from mmx.config import EngineConfig


class LocalConfig(EngineConfig):
    """One process on one device."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; "auto" takes a GPU if there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """fp32, or autocast to bf16 or fp16; "auto" is fp32 on a CPU and bf16 on a GPU that has it, else fp16."""
    compile: bool = False
    """Compile the towers with torch.compile: slower to start, quicker steps."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that train on a CPU in full precision."""
        return cls(name=name, device="cpu", precision="fp32")

    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        """Yield what "auto" takes here, and how many GPUs one process leaves unused."""
        import torch

        from mmx_local.engine import LocalEngine

        yield f"trains on {LocalEngine(cls(name='local')).describe()}"
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count > 1:
            yield f"uses 1 of the {count} GPUs: it is one process"
