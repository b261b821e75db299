"""Machines of many kinds, and what is found on them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from mmx import limits
from mmx_doctor.examine import examine
from mmx_doctor.finding import Finding


def found(section: str, name: str) -> list[Finding]:
    return [finding for finding in examine() if (finding.section, finding.name) == (section, name)]


def one(section: str, name: str) -> Finding:
    (finding,) = found(section, name)
    return finding


def group(folder: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: Mapping[str, str]) -> None:
    """Make control groups, and be in one of them."""
    monkeypatch.setattr(limits, "GROUPS", folder / "groups")
    monkeypatch.setattr(limits, "OWN", folder / "own")
    (folder / "own").write_text(own)
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def without_gpu(monkeypatch: pytest.MonkeyPatch, cuda: str | None, available: Callable[[], bool]) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", available)


def gpus(monkeypatch: pytest.MonkeyPatch, properties: Callable[[int], object]) -> None:
    without_gpu(monkeypatch, "13.0", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
