"""What is found on machines of many kinds, and that nothing that is wrong with one is raised."""

import errno
import fcntl
import resource
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typing_extensions import override

from mmx import entries, plugins
from mmx.config import EngineConfig
from mmx.entries import PluginEntry
from mmx.hookspecs import hookimpl
from mmx.registry import Registrar
from mmx.run import doctor
from mmx.run.doctor import GIB, Finding, cpu_quota, examine, memory_limit

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


class Absent(EngineConfig):
    @override
    def missing(self) -> str:
        return "the package far is not installed: pip install far"

    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        yield from [str(1 / 0)]


class Present(EngineConfig):
    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        print("not in the document")
        yield from ("trains on two cards", "they are joined by a cable")


class Silent(EngineConfig):
    hosts: int
    """It has no default."""


class Broken(EngineConfig):
    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        raise SystemExit("no driver")


class Unbuilt:
    """What the engines are here: nobody builds one."""


@hookimpl
def mmx_register(register: Registrar) -> None:
    for name, config in (("absent", Absent), ("present", Present), ("silent", Silent), ("broken", Broken)):
        register("engine", name, config=config, part=f"{__name__}:Unbuilt", summary="an engine of the tests")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, no plugins, no launcher, no limits, no driver."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "installed", lambda: iter(()))
    for name in ("GROUPS", "OWN", "DRIVER"):
        monkeypatch.setattr(doctor, name, tmp_path / "absent" / name)
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)


def found(section: str, name: str) -> list[Finding]:
    return [finding for finding in examine() if (finding.section, finding.name) == (section, name)]


def one(section: str, name: str) -> Finding:
    (finding,) = found(section, name)
    return finding


def group(folder: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: Mapping[str, str]) -> None:
    """Make control groups, and be in one of them."""
    monkeypatch.setattr(doctor, "GROUPS", folder / "groups")
    monkeypatch.setattr(doctor, "OWN", folder / "own")
    (folder / "own").write_text(own)
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_every_section_is_there_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    sections = list(dict.fromkeys(finding.section for finding in examine()))
    assert sections == ["mmx", "machine", "torch", "launcher", "optional packages", "plugins"]
    assert capsys.readouterr().out == ""


def test_versions() -> None:
    assert one("mmx", "mmx").value == metadata.version("mmx")
    assert one("mmx", "Python").value.startswith(".".join(map(str, sys.version_info[:3])))
    assert one("torch", "torch").value.startswith(torch.__version__)


def test_sources_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "mmx_version", lambda: "not installed")
    assert one("mmx", "mmx").state == "problem" and "pip install -e ." in one("mmx", "mmx").advice


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


def test_fewer_cpus_than_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group(tmp_path, monkeypatch, "0::/\n", {"cpu.max": "50000 100000"})
    assert one("machine", "CPUs").state == "note" and "OMP_NUM_THREADS=1" in one("machine", "CPUs").advice
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert one("machine", "CPUs").state == "ok"


def test_what_cannot_be_told_is_a_note_and_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group(tmp_path, monkeypatch, "0::/\n", {"cpu.max": "some time"})
    assert one("machine", "CPUs").state == "note"
    assert one("machine", "CPUs").value.startswith("cannot be told here: ValueError: ")
    assert one("machine", "memory").state == "ok"


def test_where_runs_go() -> None:
    assert one("machine", "file locks") == Finding("machine", "file locks", "work in this folder")
    Path("runs").mkdir()
    assert one("machine", "file locks").value == "work in ./runs"


@pytest.mark.parametrize(("free", "state"), [(6 * GIB, "ok"), (GIB // 2, "note")])
def test_little_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    monkeypatch.setattr(doctor, "SHARED", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free, total=8 * GIB))
    disk, shared = one("machine", "disk"), one("machine", "shared memory")
    assert (disk.state, shared.state) == (state, state)
    assert ("--out" in disk.advice, "--shm-size" in shared.advice) == (state == "note", state == "note")


def test_a_disk_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    locks = one("machine", "file locks")
    assert (locks.state, locks.value) == ("problem", "do not work in this folder: No locks available")
    assert "--out" in locks.advice


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    locks = one("machine", "file locks")
    assert (locks.state, locks.value) == ("problem", "cannot write in this folder: Read-only file system")


def test_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, resource.RLIM_INFINITY))
    assert one("machine", "open files") == Finding(
        "machine", "open files", "256 at most", "note", "workers need some: ulimit -n 1024"
    )


def test_a_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (finding,) = [finding for finding in examine() if finding.section == "torch"]
    assert finding.state == "problem" and finding.value.startswith("cannot be imported: ModuleNotFoundError: ")
    assert finding.advice.startswith("pip install 'torch") and ">=" in finding.advice


def test_emulated_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_has_bf16_kernels", lambda: False)
    finding = one("torch", "bf16 on the CPU")
    assert finding.state == "note" and "many times slower" in finding.value and "fp32" in finding.advice


def without_gpu(monkeypatch: pytest.MonkeyPatch, cuda: str | None, available: Callable[[], bool]) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", available)


def test_no_gpu_and_a_build_for_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    without_gpu(monkeypatch, None, lambda: False)
    assert one("torch", "GPUs") == Finding("torch", "GPUs", "none; training runs on the CPU")


def test_a_driver_and_a_build_for_cpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_gpu(monkeypatch, None, lambda: False)
    monkeypatch.setattr(doctor, "DRIVER", tmp_path)
    finding = one("torch", "GPUs")
    assert finding.state == "note" and "pip install --force-reinstall 'torch" in finding.advice


def test_a_build_with_cuda_that_finds_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_gpu(monkeypatch, "13.0", lambda: False)
    assert one("torch", "torch").value.endswith(", a build for CUDA 13.0")
    assert "no NVIDIA driver is here" in one("torch", "GPUs").advice
    monkeypatch.setattr(doctor, "DRIVER", tmp_path)
    assert "does nvidia-smi list it?" in one("torch", "GPUs").advice
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "CUDA_VISIBLE_DEVICES is '7'" in one("torch", "GPUs").advice


def test_what_torch_says_about_a_driver_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_old() -> bool:
        warnings.warn("the driver is\n too old", stacklevel=1)
        return False

    without_gpu(monkeypatch, "13.0", too_old)
    assert one("torch", "GPUs").advice.endswith("and says: the driver is too old")


def gpus(monkeypatch: pytest.MonkeyPatch, properties: Callable[[int], object]) -> None:
    without_gpu(monkeypatch, "13.0", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)


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


def test_engines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("absent", "broken", "present", "silent")
    listed = PluginEntry(__name__, "engines", "1.0", tuple(("engine", name) for name in names))
    monkeypatch.setattr(plugins, "installed", lambda: iter([listed]))
    rows = [(finding.name, finding.value, finding.state) for finding in examine() if finding.section == "engines"]
    assert rows[0] == ("absent", "the package far is not installed: pip install far", "note")
    assert rows[1][0] == "broken" and rows[1][2] == "problem"
    assert rows[1][1].startswith("cannot be used: SystemExit: no driver")
    assert rows[2:] == [
        ("present", "trains on two cards", "ok"),
        ("present", "they are joined by a cable", "ok"),
        ("silent", "an engine of the tests", "ok"),
    ]
    printed = capsys.readouterr()
    assert "not in the document" in printed.err and printed.out == ""


def test_the_engine_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    local = [entry for entry in entries.installed() if ("engine", "local") in entry.parts]
    monkeypatch.setattr(plugins, "installed", lambda: iter(local))
    without_gpu(monkeypatch, None, lambda: False)
    assert one("engines", "local").value == "trains on 1 CPU threads, fp32"
    gpus(monkeypatch, lambda index: SimpleNamespace(name="Card", total_memory=80 * GIB, major=9))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    values = [finding.value for finding in found("engines", "local")]
    assert values == ["trains on Card, bf16", "uses 1 of the 2 GPUs: it is one process"]


def test_an_engine_of_a_plugin_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = PluginEntry("no_such_module", "far", "0.3", (("engine", "far"),))
    monkeypatch.setattr(plugins, "installed", lambda: iter([gone]))
    engine, plugin = one("engines", "far"), one("plugins", "far 0.3 (no_such_module)")
    assert engine.state == plugin.state == "problem"
    assert "which cannot be used: ModuleNotFoundError" in engine.value
    assert plugin.value.startswith("ModuleNotFoundError") and "pip uninstall far" in plugin.advice
    assert one("plugins", "installed").value == "0 of 1 can be used"


def test_optional_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"s3fs": "2026.1"}
    monkeypatch.setattr(doctor, "version", lambda package: there.get(package, "not installed"))
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
    assert rows["gcsfs"].advice == "for gs:// URLs: pip install gcsfs"
