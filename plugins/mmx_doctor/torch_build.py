"""Torch: its build, its CPU kernels, the GPUs and backends that it finds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from mmx.plugin.admission import cause
from mmx_doctor.finding import Finding, install, requirement, size, unless

DRIVER: Final = Path("/proc/driver/nvidia/version")


def torch_build() -> Iterator[Finding]:
    """Look at torch, and at what it can use."""
    found = partial(Finding, "torch")
    try:
        import torch
    except Exception as error:  # a library that is missing or of another machine raises errors of many kinds
        yield found("torch", f"cannot be imported: {cause(error)}", "problem", install(requirement("torch")))
        return
    build = torch.version.hip or torch.version.cuda
    kind = "ROCm" if torch.version.hip else "CUDA"
    yield found("torch", f"{torch.__version__}, " + (f"a build for {kind} {build}" if build else "a build for CPUs"))
    yield found("CPU kernels", f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    native = _has_bf16_kernels()
    text = "in its own instructions" if native else "emulated, many times slower than fp32"
    yield unless(native, "torch", "bf16 on the CPU", text, "on this CPU train in fp32")
    yield from _gpus(f"{kind} {build}" if build else "")
    yield from _backends()


def _has_bf16_kernels() -> bool:
    import torch

    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without mkldnn, as for other processors
        return False


def _gpus(build: str) -> Iterator[Finding]:
    """Look at the GPUs; what torch warns of when it does, as of a driver that is too old, is part of what it finds.

    Args:
        build: what torch was built for, such as "CUDA 13.0"; empty for a CPU build.
    """
    import torch

    found = partial(Finding, "torch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            cards = [torch.cuda.get_device_properties(index) for index in range(count)]
        except Exception as error:
            advice = "look at nvidia-smi: the driver or a GPU is not well, or another program has it to itself"
            yield found("GPUs", f"cannot be used: {cause(error)}", "problem", advice)
            return
    said = list(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
    for index, card in enumerate(cards):
        bf16 = torch.version.hip is not None or card.major >= 8
        text = f"{card.name}, {size(card.total_memory)}, {'bf16' if bf16 else 'no bf16 (fp16 instead)'}"
        yield found(f"GPU {index}", text)
    for text in said if cards else ():
        yield found("GPUs", text, "note")
    if not cards:
        yield _no_gpu(build, said)


def _no_gpu(build: str, said: Sequence[str]) -> Finding:
    none = partial(Finding, "torch", "GPUs", "none; training runs on the CPU")
    if not build and DRIVER.exists():
        reinstall = install(requirement("torch"), "--force-reinstall")
        return none("note", f"an NVIDIA driver is here, but torch is a build for CPUs; take one with CUDA: {reinstall}")
    if not build:
        return none()
    if said:
        return none("note", f"torch is a build for {build}, and says: {' '.join(said)}")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return none("note", f"torch is a build for {build}; CUDA_VISIBLE_DEVICES is '{visible}': is that meant?")
    if DRIVER.exists():
        advice = "and an NVIDIA driver is here: is the job given a GPU, and does nvidia-smi list it?"
        return none("note", f"torch is a build for {build}, {advice}")
    return none("note", f"torch is a build for {build}, but no NVIDIA driver is here; if there is a GPU, install one")


def _backends() -> Iterator[Finding]:
    from torch import distributed

    names = ("gloo", "nccl", "mpi", "ucc") if distributed.is_available() else ()
    there = [name for name in names if getattr(distributed, f"is_{name}_available")()]
    advice = "this build of torch trains in one process only; take another for several"
    yield unless(bool(there), "torch", "distributed", ", ".join(there) or "no backend", advice)
