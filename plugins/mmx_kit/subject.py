"""A plugin under check: found by its name, loaded once, with one case for each of its parts."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, final

from mmx.errors import PluginError
from mmx.plugin.admission import cause
from mmx.plugin.kinds import Entry
from mmx.plugin.manager import Plugins
from mmx_kit.case import Case
from mmx_kit.listed import absent
from mmx_kit.ranks import Ranks


@final
class Plugin:
    """A plugin under check: its registries, and one case for each of its parts.

    Args:
        name: a distribution, a module, or the path of a plugin file.
        beside: plugin files with parts that its own are built with.

    Raises:
        PluginError: there is none of that name, or it cannot be loaded.
    """

    def __init__(self, name: str, beside: Sequence[Path] = ()) -> None:
        given = (Path(name),) if name.endswith(".py") else ()
        self._beside = tuple(path.absolute() for path in beside)
        self.files = tuple(path.absolute() for path in given)
        self.plugins = Plugins(files=(*beside, *given), say=lambda text: None)
        self._owners = [str(path) for path in given] or self._find(name)
        self._folder = Path(tempfile.mkdtemp(prefix="mmx-check-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._cases: dict[str, Case] = {}
        self.failed: dict[str, bool] = {}
        """Which of the checks that others rest on were broken, by part, options and check."""
        self._pair = Ranks()

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

    def case(self, entry: Entry, options: Mapping[str, Any]) -> Case:
        """Return the case of a part with some of its example options replaced, made when it is first asked for."""
        name = f"{entry.kind}.{entry.name}"
        key = f"{name} {options}"
        if key not in self._cases:
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
            config = entry.config.example(entry.name, folder)
            case = Case(entry, config, folder, self.plugins.registries, self.files, self._pair, self._beside)
            self._cases[key] = replace(case, config=case.changed(options)) if options else case
        return self._cases[key]

    def _find(self, name: str) -> list[str]:
        """Return the owners that a distribution or a module has; a module need not be installed."""
        wanted = name.replace("-", "_").lower()
        known = [e for e in self.plugins.entries if wanted == e.distribution.replace("-", "_").lower()]
        found = known or [e for e in self.plugins.entries if name.replace("-", "_") == e.module]
        for entry in found:
            reason = self.plugins.summon(entry.owner)
            if reason:
                raise PluginError(f"{entry.owner}: {reason}")
        return [entry.owner for entry in found] or [self._import(name)]

    def _import(self, name: str) -> str:
        """Import a module that no metadata lists, and return its name; a distribution's is mostly called like it."""
        module = name.replace("-", "_")
        try:
            plugin = import_module(module)
        except Exception as error:
            lost = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
            raise PluginError(absent(name, str(error)) if lost else f"{module}: {cause(error)}") from error
        self.plugins = Plugins({module: plugin}, files=self._beside, say=lambda text: None)
        broken = [entry for entry in self.plugins.unusable if entry.module == module]
        if broken:
            raise PluginError(f"{module}: {broken[0].reason}")
        return module


@cache
def plugin(name: str, beside: tuple[Path, ...] = ()) -> Plugin:
    """Return a plugin under check; one name is loaded once in a process."""
    return Plugin(name, beside)
