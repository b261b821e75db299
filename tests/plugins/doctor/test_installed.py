"""The installation, launchers and optional packages."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from machines import one
from mmx_doctor import installed
from mmx_doctor.examine import examine
from mmx_doctor.finding import Finding


def test_versions() -> None:
    assert one("mmx", "mmx").value == metadata.version("mmx")
    assert one("mmx", "Python").value.startswith(".".join(map(str, sys.version_info[:3])))
    assert one("torch", "torch").value.startswith(torch.__version__)


def test_sources_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "mmx_version", lambda: "not installed")
    assert one("mmx", "mmx").state == "problem" and "pip install -e ." in one("mmx", "mmx").advice


def test_one_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert one("launcher", "this process").value == "alone; no launcher started several"
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert one("launcher", "this process").value == "process 3 of 4, started by torchrun"
    monkeypatch.delenv("WORLD_SIZE")
    finding = one("launcher", "this process")
    assert finding.state == "problem" and "WORLD_SIZE" in finding.value


def test_launchers_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert one("launcher", "srun").value == str(tmp_path / "srun")
    assert one("launcher", "mpirun") == Finding("launcher", "mpirun", "not on the PATH")


def test_optional_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"s3fs": "2026.1"}
    monkeypatch.setattr(installed, "version", lambda package: there.get(package, "not installed"))
    requirements = [
        "torch>=2",
        'one>=1; extra == "few"',
        "two>=1; extra == 'few'",
        "mmx[few]; extra == 'all'",
        "pytest; extra == 'dev'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda package: requirements)
    rows = {finding.name: finding for finding in examine() if finding.section == "optional packages"}
    assert list(rows)[:3] == ["one", "two", "s3fs"] and not {"mmx", "pytest"} & set(rows)
    assert (rows["two"].state, rows["two"].advice) == ("note", "pip install 'mmx[few]'")
    assert (rows["s3fs"].state, rows["s3fs"].value, rows["s3fs"].advice) == ("ok", "2026.1", "")
    assert rows["gcsfs"].advice == "for gs:// URLs: pip install 'mmx[gs]'"
