"""The plugins of one run: found by entry point, loaded one by one, and called one by one. The only user of pluggy."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pluggy

from mmx import entries, hookspecs
from mmx.entries import PluginEntry, installed
from mmx.errors import PluginError
from mmx.registry import Registries

if TYPE_CHECKING:
    from mmx.parts.evaluator import Result
    from mmx.run.events import Outcome, Run, Step

HOOKS: Final = tuple(name for name in vars(hookspecs) if name.startswith("mmx_"))


@dataclass(frozen=True)
class Fault:
    """An observer that failed, kept once for each plugin and hook."""

    plugin: str
    hook: str
    error: str

    def __str__(self) -> str:
        return f"{self.plugin}: {self.hook} failed and is ignored: {self.error}"


class Plugins:
    """Plugins, and the registries that they filled. Made for each run; nothing is kept between two of them.

    A plugin that cannot be loaded is listed with the reason, and whatever it had registered is dropped: only a run
    that needs one of its parts fails.

    Args:
        extra: plugins that are not installed, by name: modules or objects with hook implementations.
        discover: whether installed plugins are loaded.
        say: is told once of each observer that fails.
    """

    def __init__(
        self,
        extra: Mapping[str, object] | None = None,
        *,
        discover: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.registries = Registries()
        self.entries: list[PluginEntry] = []
        self.faults: list[Fault] = []
        self._say = say or _complain
        self._manager = pluggy.PluginManager("mmx")
        self._manager.add_hookspecs(hookspecs)
        for entry in installed() if discover else ():
            self._admit(entry, entry.load)
        for name, plugin in (extra or {}).items():
            self._admit(PluginEntry(name), lambda plugin=plugin: plugin)

    @property
    def usable(self) -> list[PluginEntry]:
        """The plugins that are in use."""
        return [entry for entry in self.entries if entry.status == "usable"]

    @property
    def unusable(self) -> list[PluginEntry]:
        """The plugins that are broken or incompatible, with the reason."""
        return [entry for entry in self.entries if entry.status != "usable"]

    def add(self, plugin: object, name: str) -> None:
        """Register an object with hook implementations, such as a tracker.

        Raises:
            PluginError: the name is taken, or a hook is misspelt or takes arguments that do not exist.
        """
        try:
            self._connect(plugin, name)
        except Exception as error:
            raise PluginError(f"{name}: {_cause(error)}") from error

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
        """Call ``mmx_run_end`` of every plugin."""
        self._observe("mmx_run_end", run=run, outcome=outcome)

    def _admit(self, entry: PluginEntry, load: Callable[[], object]) -> None:
        if entry.status == "usable":
            try:
                # What a plugin prints must not end up in the middle of --json.
                with contextlib.redirect_stdout(sys.stderr):
                    self._register(entry, load())
            except (Exception, SystemExit) as error:
                entry = replace(entry, status="broken", reason=_cause(error))
                self.registries.drop(entry.owner)
                if self._manager.has_plugin(entry.owner):
                    self._manager.unregister(name=entry.owner)
        self.entries.append(entry)
        if entry.status != "usable":
            self.registries.absent.append(f"{entry.owner}: {entry.reason}")

    def _register(self, entry: PluginEntry, plugin: object) -> None:
        self._connect(plugin, entry.owner)
        for call in self._manager.hook.mmx_register.get_hookimpls():
            if call.plugin is plugin:
                call.function(*[self.registries.owned_by(entry.owner) for _ in call.argnames])

    def _connect(self, plugin: object, name: str) -> None:
        """Register with pluggy, and refuse what pluggy lets pass: misspelt hooks, wrappers, no hook at all."""
        self._manager.register(plugin, name=name)
        try:
            problem = _problem(plugin, self._manager.get_hookcallers(plugin) or [])
            if problem:
                raise PluginError(problem)
            self._manager.check_pending()
        except Exception:
            self._manager.unregister(name=name)
            raise

    def _observe(self, hook: str, **values: object) -> None:
        for call in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                call.function(*[values[name] for name in call.argnames])
            except (Exception, SystemExit) as error:
                fault = Fault(call.plugin_name, hook, f"{type(error).__name__}: {error}")
                if not any((known.plugin, known.hook) == (fault.plugin, hook) for known in self.faults):
                    self.faults.append(fault)
                    self._say(str(fault))


def _problem(plugin: object, callers: list[pluggy.HookCaller]) -> str:
    for caller in callers:
        own = [call for call in caller.get_hookimpls() if call.plugin is plugin]
        if not caller.has_spec() and not all(call.optionalhook for call in own):
            close = difflib.get_close_matches(caller.name, HOOKS, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            return f"there is no hook '{caller.name}'{hint} (hooks: {', '.join(HOOKS)})"
        if any(call.wrapper or call.hookwrapper for call in own):
            return f"{caller.name} is a hook wrapper; mmx has none, write a plain hook"
    marked = {caller.name for caller in callers}
    unmarked = [hook for hook in HOOKS if hook not in marked and hasattr(plugin, hook)]
    if unmarked:
        return f"{unmarked[0]} is not marked with @mmx.hookimpl"
    return "" if callers else "it implements no hook; functions are marked with @mmx.hookimpl"


def _cause(error: BaseException) -> str:
    """Put an error in one line, with the place in the plugin's code that it came from."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, PluginError):
        return text
    own = (__file__, entries.__file__, pluggy.__path__[0], importlib.__path__[0], "<frozen")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(own)]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"


def _complain(text: str) -> None:
    print(text, file=sys.stderr)
