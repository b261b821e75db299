"""Running the checks that apply to the parts of a plugin."""

import os
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast, final
from unittest import SkipTest

from pydantic import ValidationError

from mmx.errors import MissingPackageError, PluginError
from mmx.plugin.kinds import Entry, locate
from mmx_kit.catalogue import CHECKS
from mmx_kit.check import BrokenError, Check, NotApplicableError
from mmx_kit.configs import EXAMPLES, needed
from mmx_kit.globals_kept import restored
from mmx_kit.subject import Plugin, plugin

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

    def __init__(self, subject: Plugin, entry: Entry, check: Check, options: Mapping[str, Any] | None = None) -> None:
        self._subject = subject
        self._changed = dict(options or {})
        self.entry = entry
        self.check = check

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in self._changed.items())
        return f"{self.entry.kind}.{self.entry.name}{changed and f'({changed})'}: {self.check.name}"

    @property
    def options(self) -> dict[str, Any]:
        """The options that the part is checked with, as in a recipe; None where one is not given."""
        return self._subject.case(self.entry, self._changed).config.model_dump(mode="json")

    def __call__(self) -> None:
        """Run the check.

        Raises:
            BrokenError: the part breaks its contract.
            unittest.SkipTest: the check says nothing about this part; under pytest, what ``pytest.skip`` raises.
        """
        __tracebackhide__ = True  # so that pytest says which line of the test was skipped
        try:
            self._run()
        except SkipTest as reason:
            if "PYTEST_CURRENT_TEST" not in os.environ:
                raise
            import_module("pytest").skip(str(reason))

    def _run(self) -> None:
        if self.check.after and self._fails(self.check.after):
            raise NotApplicableError(f"see {self.check.after}")
        missing = needed(self.entry.config)
        if missing:
            raise BrokenError(
                f"example() gives no options to check it with, since {missing[0]} has no default: give it one, or write "
                f"the classmethod example(cls, name: str, folder: Path) of {self.entry.config.__name__}"
            )
        try:
            case = self._subject.case(self.entry, self._changed)
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

    def _fails(self, check: str) -> bool:
        """Say whether the part breaks a check that others rest on; it is run once."""
        key = f"{self.entry.kind}.{self.entry.name} {self._changed} {check}"
        if key not in self._subject.failed:
            (found,) = [one for one in _of(self.entry) if one.name == check]
            first = Conformance(self._subject, self.entry, found, self._changed)
            self._subject.failed[key] = first.find().status == "broken"
        return self._subject.failed[key]

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
                self._run()
        except SkipTest as reason:
            return "not applicable", str(reason)
        except BrokenError as error:
            return "broken", str(error)
        return "holds", ""


def checks_of(plugin_name: str, /, *parts: str, beside: Sequence[str | Path] = (), **options: Any) -> list[Conformance]:
    """Return every check of every part of a plugin, to parametrize a test with.

    A part whose options have no example has one check, which says so: there is nothing to check the others with.

    Args:
        plugin_name: a distribution, a module, or the path of a plugin file.
        beside: plugin files with parts that those of the plugin need, as given to ``--plugin``.
        parts: ``KIND.NAME`` each, to leave out the others.
        options: replace options that the part's ``example()`` gives, so that another path of it is checked.

    Raises:
        PluginError: there is no such plugin or part, it cannot be loaded, or the options do not hold, or are given
            for several parts.
    """
    subject = plugin(str(plugin_name), tuple(map(Path, beside)))
    entries = subject.entries(parts)
    if options and len(entries) != 1:
        raise PluginError(f"options are those of one part: name it, as in checks_of('{plugin_name}', 'KIND.NAME', ...)")
    try:
        for entry in entries if options else ():
            subject.case(entry, options)
    except ValidationError as error:
        raise PluginError(f"{parts[0] if parts else plugin_name}: {options} do not hold: {error}") from error
    return [Conformance(subject, entry, check, options) for entry in entries for check in _applying(entry)]


def _applying(entry: Entry) -> Iterator[Check]:
    missing = needed(entry.config)
    return (check for check in _of(entry) if not missing or check.name == EXAMPLES)


def _of(entry: Entry) -> Iterator[Check]:
    own = entry.row.checks and cast("Iterable[Check]", locate(entry.row.checks, f"the kind '{entry.kind}'"))
    yield from (check for check in CHECKS if check.applies(entry.kind))
    yield from own or ()


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
