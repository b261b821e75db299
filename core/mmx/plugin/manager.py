"""The plugins of one run: known by entry point, imported when needed, called one by one. The only user of pluggy."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
from typing_extensions import override

from mmx.errors import PluginDeprecationWarning, PluginError
from mmx.plugin import files, hookspecs
from mmx.plugin.admission import HOOKS as HOOKS
from mmx.plugin.admission import cause, problem, refuse_absent, refuse_other_parts, refuse_unknown_arguments
from mmx.plugin.entries import PluginEntry, installed
from mmx.plugin.registry import Registries, Source
from mmx.plugin.trace import Trace

if TYPE_CHECKING:
    from mmx.parts.evaluator import Result
    from mmx.parts.events import Outcome, Run, Step


@dataclass(frozen=True)
class Fault:
    """An observer that failed, kept once for each plugin and hook."""

    plugin: str
    hook: str
    error: str
    """The first error, with its place in the plugin's code."""
    count: int = 1
    """How often it failed."""

    def __str__(self) -> str:
        return f"{self.plugin}: {self.hook} failed and is ignored: {self.error}"


class Plugins(Source):
    """Plugins, and the registries that they fill. Made for each run; nothing is kept between two of them.

    Installed plugins are known by their metadata. One is imported when a part of it is asked for, or when it is
    enabled by name; one that cannot be loaded is listed with the reason, and only a run that needs it fails.

    Args:
        extra: plugins that are not installed, by name: modules or objects with hook implementations.
        files: plugins that are one Python file each.
        discover: whether installed plugins are known.
        say: is told once of each observer that fails, and of what a plugin uses that will go.
        trace: is told of every import and hook call.

    Raises:
        PluginError: one of the files cannot be loaded.
    """

    def __init__(
        self,
        extra: Mapping[str, object] | None = None,
        *,
        files: Sequence[Path] = (),
        discover: bool = True,
        say: Callable[[str], None] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.registries = Registries(self)
        self.faults: list[Fault] = []
        self._known: dict[str, PluginEntry] = {}
        self._loading: set[str] = set()
        """Owners that are being imported; one may ask for a kind that it brings itself."""
        self._say = say or _complain
        self._trace = Trace(trace)
        self._manager = pluggy.PluginManager("mmx")
        self._manager.add_hookspecs(hookspecs)
        for entry in installed() if discover else ():
            self._known[entry.owner] = entry
        for name, plugin in (extra or {}).items():
            self._admit(PluginEntry(name), lambda plugin=plugin: plugin)
        self.files = [self._take(path) for path in files]

    @property
    def entries(self) -> list[PluginEntry]:
        """All plugins, and what is known of each so far."""
        return list(self._known.values())

    @property
    def loaded(self) -> list[PluginEntry]:
        """The plugins that are in use."""
        return [entry for entry in self.entries if entry.status == "loaded"]

    @property
    def unusable(self) -> list[PluginEntry]:
        """The plugins that are broken or incompatible, with the reason."""
        return [entry for entry in self.entries if not entry.usable]

    def load_all(self) -> None:
        """Import every plugin, to know what is broken."""
        for entry in self.entries:
            self.summon(entry.owner)

    @override
    def listed(self, kind: str) -> Mapping[str, Sequence[str]]:
        owners: dict[str, list[str]] = {}
        for entry in self.entries:
            for name in (name for known, name in entry.parts if known == kind):
                owners.setdefault(name, []).append(entry.owner)
        # One that is refused by its metadata takes no name from one that can be used.
        return {
            name: [owner for owner in claims if self._known[owner].status != "incompatible"] or claims
            for name, claims in owners.items()
        }

    @override
    def summon(self, owner: str) -> str:
        entry = self._known.get(owner)
        if entry is not None and entry.status == "listed" and owner not in self._loading:
            self._loading.add(owner)
            entry = self._admit(entry, entry.load)
            self._loading.discard(owner)
        return "" if entry is None else entry.reason

    @override
    def enable(self, module: str) -> str:
        owners = [entry.owner for entry in self.entries if entry.module == module]
        if owners:
            reason = self.summon(owners[0])
            return reason and f"the plugin {owners[0]} cannot be used: {reason}"
        known = sorted(entry.module for entry in self.entries)
        close = difflib.get_close_matches(module, known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        return f"no plugin '{module}' is installed{hint} (known: {', '.join(known) or 'none'})"

    def add(self, plugin: object, name: str) -> None:
        """Register an object with hook implementations, such as a tracker.

        Raises:
            PluginError: the name is taken, or a hook is misspelt or takes arguments that do not exist.
        """
        try:
            self._connect(plugin, name)
        except Exception as error:
            raise PluginError(f"{name}: {cause(error)}") from error

    def remove(self, name: str) -> None:
        """Forget a plugin that was added."""
        self._manager.unregister(name=name)

    def run_start(self, run: Run) -> None:
        """Call ``mmx_run_start`` of every plugin."""
        self._observe("mmx_run_start", run=run)

    def step_end(self, run: Run, step: Step) -> None:
        """Call ``mmx_step_end`` of every plugin."""
        self._observe("mmx_step_end", run=run, step=step)

    def evaluation_end(self, run: Run, step: int, results: dict[str, Result]) -> None:
        """Call ``mmx_evaluation_end`` of every plugin."""
        self._observe("mmx_evaluation_end", run=run, step=step, results=results)

    def run_end(self, run: Run, outcome: Outcome) -> None:
        """Call ``mmx_run_end`` of every plugin, and say which observers failed more than once."""
        self._observe("mmx_run_end", run=run, outcome=outcome)
        for fault in self.faults:
            if fault.count > 1:
                self._say(f"{fault.plugin}: {fault.hook} failed {fault.count:,} times, the first time: {fault.error}")

    def _take(self, path: Path) -> files.PluginFile:
        """Load a plugin file; unlike an installed plugin, it was asked for, so that nothing goes on without it."""
        name = str(path)
        entry = self._admit(PluginEntry(name), lambda: files.load(path))
        if not entry.usable:
            prefix = "" if entry.reason.startswith("--plugin ") else f"--plugin {path}: "
            raise PluginError(f"{prefix}{entry.reason}")
        installed = {known.owner for known in self.entries if known.distribution}
        for kind, part in entry.parts:
            for owner in self.registries[kind].prefer(part, entry.owner, installed):
                self._say(f"{kind}.{part}: of {path}, in place of {owner}")
        return files.PluginFile(path.absolute(), files.sha256_of(sys.modules[path.stem]))

    def _admit(self, entry: PluginEntry, load: Callable[[], object]) -> PluginEntry:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PluginDeprecationWarning)
            entry = self._loaded(entry, load)
        notes = [warning for warning in caught if issubclass(warning.category, PluginDeprecationWarning)]
        for warning in caught:
            if warning not in notes:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        entry = replace(entry, deprecated=tuple(dict.fromkeys(str(note.message) for note in notes)))
        for note in entry.deprecated:
            self._say(f"{entry.owner}: {note}")
        self._known[entry.owner] = entry
        return entry

    def _loaded(self, entry: PluginEntry, load: Callable[[], object]) -> PluginEntry:
        try:
            # What a plugin prints must not end up in the middle of --json.
            with contextlib.redirect_stdout(sys.stderr):
                plugin = self._trace.call(entry.owner, "import", {}, load)
                hooks = self._register(entry, plugin)
        except (Exception, SystemExit) as error:
            self.registries.drop(entry.owner)
            if self._manager.has_plugin(entry.owner):
                self._manager.unregister(name=entry.owner)
            return replace(entry, status="broken", reason=f"{cause(error)}{_mend(entry, error)}")
        parts = tuple(sorted((part.kind, part.name) for part in self.registries.registered(entry.owner)))
        return replace(entry, status="loaded", parts=parts, hooks=hooks)

    def _register(self, entry: PluginEntry, plugin: object) -> tuple[str, ...]:
        self._connect(plugin, entry.owner)
        for call in self._manager.hook.mmx_register.get_hookimpls():
            if call.plugin is plugin:
                values = {name: self.registries.owned_by(entry.owner) for name in call.argnames}
                self._trace.call(entry.owner, "mmx_register", values, partial(call.function, *values.values()))
        registered = self.registries.registered(entry.owner)
        if entry.distribution:
            refuse_other_parts(entry, {(part.kind, part.name) for part in registered})
        refuse_absent(registered)
        return tuple(sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ()))

    def _connect(self, plugin: object, name: str) -> None:
        """Register with pluggy, and refuse what pluggy lets pass: misspelt hooks, wrappers, no hook at all."""
        refuse_unknown_arguments(plugin)
        self._manager.register(plugin, name=name)
        try:
            wrong = problem(plugin, self._manager.get_hookcallers(plugin) or [])
            if wrong:
                raise PluginError(wrong)
            self._manager.check_pending()
        except Exception:
            self._manager.unregister(name=name)
            raise

    def _observe(self, hook: str, **values: object) -> None:
        for call in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            given = [values[name] for name in call.argnames]
            try:
                self._trace.call(call.plugin_name, hook, values, partial(call.function, *given))
            except (Exception, SystemExit) as error:
                self._note(Fault(call.plugin_name, hook, cause(error)))

    def _note(self, fault: Fault) -> None:
        """Say a fault once, and count it from then on."""
        for place, known in enumerate(self.faults):
            if (known.plugin, known.hook) == (fault.plugin, fault.hook):
                self.faults[place] = replace(known, count=known.count + 1)
                return
        self.faults.append(fault)
        if os.environ.get("MMX_DEBUG"):
            traceback.print_exc()
        self._say(str(fault))


def _mend(entry: PluginEntry, error: BaseException) -> str:
    """Say which line of the metadata is wrong where it names a module that is not there."""
    if not (entry.distribution and isinstance(error, ModuleNotFoundError) and error.name == entry.module):
        return ""
    key = ".".join(entry.parts[0]) if entry.parts else entry.module
    return f'; mend the line "{key}" = "{entry.module}" of its pyproject.toml, and install it again'


def _complain(text: str) -> None:
    print(text, file=sys.stderr)
