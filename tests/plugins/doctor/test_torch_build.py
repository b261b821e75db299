"""Torch and GPUs of many kinds."""

import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from machines import found, gpus, one, without_gpu
from mmx_doctor import torch_build
from mmx_doctor.examine import examine
from mmx_doctor.finding import GIB, Finding


def test_a_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (finding,) = [finding for finding in examine() if finding.section == "torch"]
    assert finding.state == "problem" and finding.value.startswith("cannot be imported: ModuleNotFoundError: ")
    assert finding.advice.startswith("pip install 'torch") and ">=" in finding.advice


def test_emulated_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build, "_has_bf16_kernels", lambda: False)
    finding = one("torch", "bf16 on the CPU")
    assert finding.state == "note" and "many times slower" in finding.value and "fp32" in finding.advice


def test_no_gpu_and_a_build_for_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    without_gpu(monkeypatch, None, lambda: False)
    assert one("torch", "GPUs") == Finding("torch", "GPUs", "none; training runs on the CPU")


def test_a_driver_and_a_build_for_cpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_gpu(monkeypatch, None, lambda: False)
    monkeypatch.setattr(torch_build, "DRIVER", tmp_path)
    finding = one("torch", "GPUs")
    assert finding.state == "note" and "pip install --force-reinstall 'torch" in finding.advice


def test_a_build_with_cuda_that_finds_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_gpu(monkeypatch, "13.0", lambda: False)
    assert one("torch", "torch").value.endswith(", a build for CUDA 13.0")
    assert "no NVIDIA driver is here" in one("torch", "GPUs").advice
    monkeypatch.setattr(torch_build, "DRIVER", tmp_path)
    assert "does nvidia-smi list it?" in one("torch", "GPUs").advice
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "CUDA_VISIBLE_DEVICES is '7'" in one("torch", "GPUs").advice


def test_what_torch_says_about_a_driver_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_old() -> bool:
        warnings.warn("the driver is\n too old", stacklevel=1)
        return False

    without_gpu(monkeypatch, "13.0", too_old)
    assert one("torch", "GPUs").advice.endswith("and says: the driver is too old")


def test_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [SimpleNamespace(name=f"Card {place}", total_memory=80 * GIB, major=7 + place) for place in (0, 1)]
    gpus(monkeypatch, lambda index: cards[index])
    assert one("torch", "GPU 0").value == "Card 0, 80.0 GiB, no bf16 (fp16 instead)"
    assert one("torch", "GPU 1").value == "Card 1, 80.0 GiB, bf16"
    assert found("torch", "GPUs") == []


def test_a_gpu_that_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(index: int) -> Any:
        raise RuntimeError("CUDA error: it has fallen off the bus")

    gpus(monkeypatch, fail)
    finding = one("torch", "GPUs")
    assert finding.state == "problem" and "fallen off the bus" in finding.value and "nvidia-smi" in finding.advice
    assert found("torch", "distributed")
