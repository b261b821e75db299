"""What this machine and installation can do, for ``mmx doctor``. Imports torch inside functions only."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

from pydantic import ValidationError

from mmx.admission import cause
from mmx.config import EngineConfig
from mmx.errors import RecipeError
from mmx.plugins import Plugins
from mmx.run.place import find
from mmx.run.versions import mmx_version, version

if TYPE_CHECKING:
    from mmx.entries import PluginEntry
    from mmx.kinds import Entry

GIB: Final = 1 << 30
GROUPS: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")
SHARED: Final = Path("/dev/shm")
DRIVER: Final = Path("/proc/driver/nvidia/version")
LOW_DISK: Final = 5 * GIB
"""Two checkpoints of CLIP ViT-B/32 with its optimizer's state are 3.4 GiB, and a third is written before one goes."""
LOW_FILES: Final = 1024
"""What most systems allow; data workers hold a few dozen files each, and pass batches as files."""
FILE_SYSTEMS: Final = {
    "s3fs": "s3://",
    "gcsfs": "gs://",
    "adlfs": "az://",
    "huggingface_hub": "hf://",
    "aiohttp": "http:// and https://",
}
"""Packages that fsspec needs to read URLs, and the URLs."""
LAUNCHERS: Final = ("torchrun", "mpirun", "srun")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    section: str
    name: str
    value: str
    state: Literal["ok", "note", "problem"] = "ok"
    """"note" works but may not be what was wanted; "problem" has to be mended before something works."""
    advice: str = ""
    """What to do; empty where there is nothing to do."""


Check = Callable[[], Iterator[Finding]]


def unless(good: bool, section: str, name: str, value: str, advice: str) -> Finding:
    """Return a finding that is ok where it is good, and otherwise a note with the advice."""
    return Finding(section, name, value) if good else Finding(section, name, value, "note", advice)


def examine() -> list[Finding]:
    """Look at everything. What cannot be told on this system is a note; nothing is raised."""
    plugins = Plugins(say=lambda text: None)
    checks: Sequence[tuple[str, str, Check]] = (
        ("mmx", "installation", _installation),
        ("machine", "CPUs", _cpus),
        ("machine", "memory", _memory),
        ("machine", "disk", _disk),
        ("machine", "file locks", _locks),
        ("machine", "shared memory", _shared),
        ("machine", "open files", _files),
        ("torch", "torch", _torch),
        ("launcher", "this process", _launched),
        ("launcher", "programs", _programs),
        ("engines", "engines", partial(_engines, plugins)),
        ("optional packages", "packages", _optional),
        ("plugins", "installed", partial(_plugins, plugins)),
    )
    found: list[Finding] = []
    # What a plugin prints must not end up in the middle of --json.
    with contextlib.redirect_stdout(sys.stderr):
        for section, name, check in checks:
            try:
                for finding in check():
                    found.append(finding)
            except (Exception, SystemExit) as error:
                found.append(Finding(section, name, f"cannot be told here: {cause(error)}", "note"))
    return found


def _installation() -> Iterator[Finding]:
    mmx = partial(Finding, "mmx")
    installed = mmx_version()
    if installed == "not installed":
        advice = "its plugins are known by its installation: pip install -e . in the folder of its sources"
        yield mmx("mmx", "run from its sources, not installed", "problem", advice)
    else:
        yield mmx("mmx", installed)
    yield mmx("Python", f"{platform.python_version()}, {_environment()}")
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if os.name == "posix":
        yield mmx("platform", system)
    else:
        yield mmx("platform", system, "problem", "mmx runs on Linux and macOS; on Windows use WSL")


def _environment() -> str:
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "in a conda environment"
    return "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"


def _cpus() -> Iterator[Finding]:
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    text = f"{usable} of {total}"
    quota = cpu_quota()
    limited = quota is not None and quota < usable
    if limited:
        text = f"{text}, and time on {quota:.3g} of them (the quota of the control group)"
    advice = f"as many threads as CPUs would wait for each other: export OMP_NUM_THREADS={max(1, int(quota or usable))}"
    yield unless(not limited or "OMP_NUM_THREADS" in os.environ, "machine", "CPUs", text, advice)


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = _size(total)
    with contextlib.suppress(OSError):  # only Linux has the file
        kib = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        text += f", {_size(1024 * int(kib[1]))} available" if kib else ""
    limit = memory_limit()
    if limit is not None and limit < total:
        text += f"; the control group has {_size(limit)}"
    yield Finding("machine", "memory", text)


def cpu_quota() -> float | None:
    """Return how many CPUs' time the control group of this process gives it, None if it has no limit."""
    limits: list[float] = []
    for group in _groups("cpu"):
        older = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = _words(group / "cpu.max") or [word for name in older for word in _words(group / name)]
        if len(words) == 2 and words[0] not in ("max", "-1"):
            limits.append(int(words[0]) / int(words[1]))
    return min(limits, default=None)


def memory_limit() -> int | None:
    """Return the bytes that the control group of this process may use, None if it has no limit."""
    files = [group / name for group in _groups("memory") for name in ("memory.max", "memory.limit_in_bytes")]
    return min((int(word) for file in files for word in _words(file) if word != "max"), default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the control groups of this process, from its own to the root, of version 2 and of version 1."""
    with contextlib.suppress(OSError):
        for line in OWN.read_text().splitlines():
            _, names, path = line.split(":", 2)
            base = GROUPS / controller if controller in names.split(",") else GROUPS
            if not names or base != GROUPS:
                own = Path(path)
                yield from (base / str(group).lstrip("/") for group in (own, *own.parents))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _place() -> Path:
    """Return where runs would go, or the folder that theirs would be made in."""
    return Path("runs") if Path("runs").is_dir() else Path()


def _shown() -> str:
    return "./runs" if _place().name else "this folder"


def _disk() -> Iterator[Finding]:
    disk = shutil.disk_usage(_place())
    text = f"{_size(disk.free)} free of {_size(disk.total)}, where {_shown()} is"
    advice = "checkpoints of large models may not fit: write runs to another disk with --out"
    yield unless(disk.free >= LOW_DISK, "machine", "disk", text, advice)


def _locks() -> Iterator[Finding]:
    import fcntl  # not there on Windows

    locks = partial(Finding, "machine", "file locks")
    try:
        file = tempfile.TemporaryFile(dir=_place())
    except OSError as error:
        text = f"cannot write in {_shown()}: {error.strerror}"
        yield locks(text, "problem", "run mmx in a folder that you may write in, or write runs to one with --out")
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = f"do not work in {_shown()}: {error.strerror}"
            yield locks(text, "problem", "a run locks its folder: write runs to a disk that has locks with --out")
        else:
            yield locks(f"work in {_shown()}")


def _shared() -> Iterator[Finding]:
    if not SHARED.is_dir():  # other systems have no such folder, and no such limit
        return
    disk = shutil.disk_usage(SHARED)
    text = f"{_size(disk.free)} free of {_size(disk.total)}"
    advice = "data workers pass batches through it: give a container more (docker run --shm-size=8g), or data.workers=0"
    yield unless(disk.free >= GIB, "machine", "shared memory", text, advice)


def _files() -> Iterator[Finding]:
    import resource  # not there on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} at most"
    most = LOW_FILES if hard == resource.RLIM_INFINITY else min(hard, LOW_FILES)
    advice = f"ulimit -n {most}" if most > soft else "ask who runs this machine for more"
    yield unless(text == "no limit" or soft >= LOW_FILES, "machine", "open files", text, f"workers need some: {advice}")


def _torch() -> Iterator[Finding]:
    found = partial(Finding, "torch")
    try:
        import torch
    except Exception as error:  # a library that is missing or of another machine raises errors of many kinds
        yield found("torch", f"cannot be imported: {cause(error)}", "problem", _install(_requirement("torch")))
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
        text = f"{card.name}, {_size(card.total_memory)}, {'bf16' if bf16 else 'no bf16 (fp16 instead)'}"
        yield found(f"GPU {index}", text)
    for text in said if cards else ():
        yield found("GPUs", text, "note")
    if not cards:
        yield _no_gpu(build, said)


def _no_gpu(build: str, said: Sequence[str]) -> Finding:
    none = partial(Finding, "torch", "GPUs", "none; training runs on the CPU")
    if not build and DRIVER.exists():
        reinstall = _install(_requirement("torch"), "--force-reinstall")
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


def _launched() -> Iterator[Finding]:
    found = partial(Finding, "launcher", "this process")
    try:
        place = find(os.environ)
    except RecipeError as error:
        yield found(str(error), "problem")
        return
    several = f"process {place.rank} of {place.size}, started by {place.launcher}"
    yield found(several if place.size > 1 else "alone; no launcher started several")


def _programs() -> Iterator[Finding]:
    for program in LAUNCHERS:
        yield Finding("launcher", program, shutil.which(program) or "not on the PATH")


def _engines(plugins: Plugins) -> Iterator[Finding]:
    registry = plugins.registries["engine"]
    for name in registry.names():
        refusal = registry.refusal(name)
        if refusal is None:
            yield from _engine(registry[name])
        else:
            yield Finding("engines", name, refusal.text, "problem", "mmx plugins shows where it comes from")


def _engine(entry: Entry) -> Iterator[Finding]:
    found = partial(Finding, "engines", entry.name)
    config = cast(type[EngineConfig], entry.config)
    missing, lines = "", list[str]()
    try:
        with contextlib.suppress(ValidationError):  # one that needs an option cannot be asked without it
            missing = config(name=entry.name).missing()
        lines = [str(line) for line in config.doctor()]
    except (Exception, SystemExit) as error:
        if not missing:  # nobody expects one to work that is not installed
            advice = f"install what it misses; if nothing is missing, it is a bug of {entry.owner}"
            yield found(f"cannot be used: {cause(error)}", "problem", advice)
            return
    if missing:
        yield found(missing, "note")
    elif not lines:
        yield found(entry.summary)
    for line in lines:
        yield found(line)


def _optional() -> Iterator[Finding]:
    lines = {package: _install(f"mmx[{extra}]") for package, extra in _extras()}
    lines |= {package: f"for {urls} URLs: {_install(package)}" for package, urls in FILE_SYSTEMS.items()}
    for package, line in lines.items():
        installed = version(package)
        yield unless(installed != "not installed", "optional packages", package, installed, line)


def _extras() -> Iterator[tuple[str, str]]:
    """Yield the packages that options of the installation bring, each with the option's name."""
    for text in _requirements():
        extra = re.search(r"extra == ['\"]([\w.-]+)", text)
        name = re.match(r"[\w.-]+", text)
        if name and name[0] != "mmx" and extra and extra[1] != "dev":
            yield name[0], extra[1]


def _requirement(package: str) -> str:
    """Return what mmx requires of a package: its name with the versions that fit."""
    return next((text for text in _requirements() if re.match(rf"{package}\b(?!-)", text)), package)


def _requirements() -> Sequence[str]:
    try:
        return metadata.requires("mmx") or ()
    except metadata.PackageNotFoundError:
        return ()


def _install(requirement: str, *options: str) -> str:
    quoted = requirement if re.fullmatch(r"[\w.-]+", requirement) else f"'{requirement}'"
    return " ".join(["pip install", *options, quoted])


def _plugins(plugins: Plugins) -> Iterator[Finding]:
    plugins.load_all()
    yield Finding("plugins", "installed", f"{len(plugins.loaded)} of {len(plugins.entries)} can be used")
    for entry in plugins.unusable:
        yield Finding("plugins", entry.owner, entry.reason, "problem", _mend(entry))
    for registry in plugins.registries.kinds.values():
        for clash in registry.clashes():
            yield Finding("plugins", "clash", clash, "note")


def _mend(entry: PluginEntry) -> str:
    if entry.distribution == "mmx":
        return "install mmx again, with what it needs: pip install -e . in the folder of its sources"
    return f"install a version that works, or: pip uninstall {entry.distribution}"


def _size(count: int) -> str:
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / (1 << 20):,.0f} MiB"
