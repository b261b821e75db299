"""What is installed: mmx, launchers, engines, optional packages, plugins."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pydantic import ValidationError

from mmx.config import EngineConfig
from mmx.errors import RecipeError
from mmx.launch.rank import find
from mmx.plugin.admission import cause
from mmx.plugin.manager import Plugins
from mmx.plugin.versions import mmx_version, version
from mmx_doctor.finding import Finding, install, requirements, unless

if TYPE_CHECKING:
    from mmx.plugin.entries import PluginEntry
    from mmx.plugin.kinds import Entry

FILE_SYSTEMS: Final = {
    "s3fs": ("s3://", "mmx[s3]"),
    "gcsfs": ("gs://", "mmx[gs]"),
    "adlfs": ("az://", "mmx[az]"),
    "huggingface_hub": ("hf://", "huggingface_hub"),
}
"""Packages that fsspec needs to read URLs, the URLs, and what to install."""
LAUNCHERS: Final = ("torchrun", "mpirun", "srun")


def installation() -> Iterator[Finding]:
    """Look at mmx, Python and the system."""
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


def launched() -> Iterator[Finding]:
    """Look at what the launcher of this process says."""
    found = partial(Finding, "launcher", "this process")
    try:
        place = find(os.environ)
    except RecipeError as error:
        yield found(str(error), "problem")
        return
    several = f"process {place.rank} of {place.size}, started by {place.launcher}"
    yield found(several if place.size > 1 else "alone; no launcher started several")


def programs() -> Iterator[Finding]:
    """Look for launchers."""
    for program in LAUNCHERS:
        yield Finding("launcher", program, shutil.which(program) or "not on the PATH")


def engines(plugins: Plugins) -> Iterator[Finding]:
    """Ask every engine what it can do here."""
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


def optional() -> Iterator[Finding]:
    """Look for packages that mmx can do without."""
    lines = {package: install(f"mmx[{extra}]") for package, extra in _extras()}
    lines |= {package: f"for {urls} URLs: {install(what)}" for package, (urls, what) in FILE_SYSTEMS.items()}
    for package, line in lines.items():
        installed = version(package)
        yield unless(installed != "not installed", "optional packages", package, installed, line)


def _extras() -> Iterator[tuple[str, str]]:
    """Yield the packages that options of the installation bring, each with the option's name."""
    for text in requirements():
        extra = re.search(r"extra == ['\"]([\w.-]+)", text)
        name = re.match(r"[\w.-]+", text)
        if name and name[0] != "mmx" and extra and extra[1] != "dev":
            yield name[0], extra[1]


def loadable(plugins: Plugins) -> Iterator[Finding]:
    """Load every plugin, and say which cannot be used."""
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
