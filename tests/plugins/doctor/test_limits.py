"""Control groups."""

from pathlib import Path

import pytest

from machines import group, one
from mmx.limits import cpu_quota, memory_limit
from mmx_doctor.finding import GIB


def test_no_control_group_is_no_limit() -> None:
    assert cpu_quota() is None and memory_limit() is None


def test_limits_of_the_groups_above_hold_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "job/step/cpu.max": "max 100000\n",
        "job/cpu.max": "150000 100000\n",
        "job/step/memory.max": "max\n",
        "memory.max": "1073741824\n",
    }
    group(tmp_path, monkeypatch, "0::/job/step\n", files)
    assert cpu_quota() == 1.5 and memory_limit() == GIB
    assert one("machine", "memory").value.endswith("; the control group has 1.0 GiB")


def test_limits_of_the_first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "cpu/job/cpu.cfs_quota_us": "50000",
        "cpu/job/cpu.cfs_period_us": "100000",
        "cpu/cpu.cfs_quota_us": "-1",
        "cpu/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    group(tmp_path, monkeypatch, "3:cpu,cpuacct:/job\n2:memory:/elsewhere\n1:name=systemd:/\n0::/\n", files)
    assert cpu_quota() == 0.5
    assert "control group" not in one("machine", "memory").value


def test_less_time_than_cpus_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group(tmp_path, monkeypatch, "0::/\n", {"cpu.max": "50000 100000"})
    found = one("machine", "CPUs")
    assert found.state == "ok" and found.value.endswith("and time on 0.5 of them (the quota of the control group)")
