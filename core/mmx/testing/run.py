"""Running the checks that apply to the parts of a plugin."""

import atexit
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal, final
from unittest import SkipTest

from mmx.errors import MissingPackageError, PluginError
from mmx.kinds import Entry
from mmx.plugins import Plugins
from mmx.testing.case import Case
from mmx.testing.catalogue import CHECKS
from mmx.testing.check import BrokenError, Check, NotApplicableError
from mmx.testing.globals_kept import restored
from mmx.testing.pair import Pair

Status = Literal["holds", "broken", "not applicable"]


@dataclass(frozen=True)
class Finding:
    """What a check found of a part."""

    part: str
    """``KIND.NAME``."""
    check: str
    about: str
    status: Status
    message: str
    """Why it is broken or the check does not apply; empty if it holds."""
    seconds: float


@final
class Conformance:
    """One check of one part; called by pytest, or by ``mmx plugins check``."""

    def __init__(self, subject: "Plugin", entry: Entry, check: Check) -> None:
        self._subject = subject
        self.entry = entry
        self.check = check

    def __str__(self) -> str:
        return f"{self.entry.kind}.{self.entry.name}: {self.check.name}"

    def __call__(self) -> None:
        """Run the check.

        Raises:
            BrokenError: the part breaks its contract.
            unittest.SkipTest: the check says nothing about this part.
        """
        case = self._subject.case(self.entry)
        try:
            with restored():  # a part that changes the process must not change what is found of the next one
                self.check.run(case)
        except (SkipTest, KeyboardInterrupt):
            raise
        except BaseException as error:
            missing = _missing(error)
            if missing is not None:
                raise NotApplicableError(str(missing)) from error
            if isinstance(error, BrokenError):
                raise
            raise BrokenError(f"it fails: {type(error).__name__}: {error}{_place(error)}") from error

    def find(self) -> Finding:
        """Run the check and return what it found."""
        started = time.perf_counter()
        status, message = self._outcome()
        name = f"{self.entry.kind}.{self.entry.name}"
        return Finding(name, self.check.name, self.check.about, status, message, time.perf_counter() - started)

    def _outcome(self) -> tuple[Status, str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self()
        except SkipTest as reason:
            return "not applicable", str(reason)
        except BrokenError as error:
            return "broken", str(error)
        return "holds", ""


@final
class Plugin:
    """A plugin under check: its registries, and one case for each of its parts.

    Args:
        name: a distribution, a module, or the path of a plugin file.

    Raises:
        PluginError: there is none of that name, or it cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        given = (Path(name),) if name.endswith(".py") else ()
        self.files = tuple(path.absolute() for path in given)
        self.plugins = Plugins(files=given, say=lambda text: None)
        self._owners = [str(path) for path in given] or self._find(name)
        self._folder = Path(tempfile.mkdtemp(prefix="mmx-check-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._cases: dict[str, Case] = {}
        self._pair = Pair()

    def entries(self, parts: Sequence[str] = ()) -> list[Entry]:
        """Return its parts, or those of them that are named as ``KIND.NAME``.

        Raises:
            PluginError: it has no such part, or none at all.
        """
        found = [entry for owner in self._owners for entry in self.plugins.registries.registered(owner)]
        names = [f"{entry.kind}.{entry.name}" for entry in found]
        unknown = [part for part in parts if part not in names]
        if unknown or not found:
            what = f"no part '{unknown[0]}'" if unknown else "no part"
            raise PluginError(f"{', '.join(self._owners)} has {what} (it has: {', '.join(names) or 'hooks only'})")
        for entry in found:
            self.plugins.registries[entry.kind][entry.name]  # refuses a name that another plugin has too
        return [entry for entry, name in zip(found, names, strict=True) if not parts or name in parts]

    def case(self, entry: Entry) -> Case:
        """Return the case of a part, made when it is first asked for."""
        name = f"{entry.kind}.{entry.name}"
        if name not in self._cases:
            folder = self._folder / name
            folder.mkdir()
            config = entry.config.example(entry.name, folder)
            self._cases[name] = Case(entry, config, folder, self.plugins.registries, self.files, self._pair)
        return self._cases[name]

    def _find(self, name: str) -> list[str]:
        """Return the owners that a distribution or a module has; a module need not be installed."""
        wanted = name.replace("-", "_").lower()
        found = [e for e in self.plugins.entries if wanted in (e.distribution.replace("-", "_").lower(), e.module)]
        for entry in found:
            reason = self.plugins.summon(entry.owner)
            if reason:
                raise PluginError(f"{entry.owner}: {reason}")
        if found:
            return [entry.owner for entry in found]
        try:
            module = import_module(name)
        except ImportError as error:
            raise PluginError(
                f"there is no plugin '{name}': no distribution or module of that name is installed ({error}); "
                "for one file give its path, such as ./my_loss.py"
            ) from error
        self.plugins = Plugins({name: module}, say=lambda text: None)
        broken = [entry for entry in self.plugins.unusable if entry.module == name]
        if broken:
            raise PluginError(f"{name}: {broken[0].reason}")
        return [name]


@cache
def plugin(name: str) -> Plugin:
    """Return a plugin under check; one name is loaded once in a process."""
    return Plugin(name)


def checks_of(name: str, *parts: str) -> list[Conformance]:
    """Return every check of every part of a plugin, to parametrize a test with.

    Args:
        name: a distribution, a module, or the path of a plugin file.
        parts: ``KIND.NAME`` each, to leave out the others.

    Raises:
        PluginError: there is no such plugin or part, or it cannot be loaded.
    """
    subject = plugin(str(name))
    return [Conformance(subject, entry, check) for entry in subject.entries(parts) for check in _of(entry)]


def _of(entry: Entry) -> Iterator[Check]:
    return (check for check in CHECKS if entry.kind in check.kinds)


def _missing(error: BaseException | None) -> MissingPackageError | None:
    """Return what says that an optional package is not installed, if that is behind an error."""
    while error is not None and not isinstance(error, MissingPackageError):
        error = error.__cause__ or error.__context__
    return error


def _place(error: BaseException) -> str:
    """Return the last place outside of mmx and torch that an error went through."""
    core = str(Path(__file__).parents[1])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(core)]
    frames = [f for f in frames if "/torch/" not in f.filename and not f.filename.startswith("<")]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
