"""Plugins that are one file, given with ``--plugin FILE``: the first hour of a plugin, before it is a package."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final

from typing_extensions import override

from mmx.errors import PluginError

_MARK: Final = "__mmx_sha256__"
"""The attribute of a module that was loaded from a file: the sha256 of that file."""


@dataclass(frozen=True)
class PluginFile:
    """A plugin file as it was when it was loaded."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def load(path: Path) -> ModuleType:
    """Import a file as the module of its stem, so that ``part="stem:Class"`` finds what it defines.

    A text that was loaded before is not run again, also where it is a copy elsewhere.

    Raises:
        PluginError: there is no such file, or its stem cannot be a module's name or is that of another module.
    """
    name, data = path.stem, _read(path)
    digest = hashlib.sha256(data).hexdigest()
    known = sys.modules.get(name)
    if known is None or not sha256_of(known):
        _refuse_other(name, path)
    elif sha256_of(known) == digest:
        return known
    return _run(path.absolute(), data, digest)


def sha256_of(module: ModuleType) -> str:
    """Return the sha256 of the file that a module was loaded from; empty if it is not a plugin file's."""
    digest = getattr(module, _MARK, "")
    return digest if isinstance(digest, str) else ""


@final
class Carried:
    """Loads this process's plugin files in a process that it is sent to, before what is sent after it.

    A spawned data worker knows nothing of ``--plugin``: without this it could not find the classes it is sent.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _carry, (tuple(str(module.__file__) for module in list(sys.modules.values()) if sha256_of(module)),)


def _carry(paths: Sequence[str]) -> Carried:
    for path in paths:
        load(Path(path))
    return Carried()


def _read(path: Path) -> bytes:
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise PluginError(
            f"--plugin {path}: expected a Python file whose name can be a module's, such as my_loss.py "
            "(letters, digits and '_'); an installed plugin needs no --plugin: recipes name its parts"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise PluginError(f"--plugin {path}: cannot be read: {error.strerror}") from error


def _refuse_other(name: str, path: Path) -> None:
    try:
        other = find_spec(name)
    except (ImportError, ValueError):
        other = None
    if other is None:
        return
    place = Path(str(other.origin))
    if not (place.exists() and place.samefile(path)):
        raise PluginError(f"--plugin {path}: there is another module '{name}' ({other.origin}); rename the file")


def _run(path: Path, data: bytes, digest: str) -> ModuleType:
    spec = spec_from_loader(path.stem, _Source(str(path), data))
    assert spec is not None and spec.loader is not None  # it always has, given a loader
    module = module_from_spec(spec)
    setattr(module, _MARK, digest)
    before = sys.modules.get(spec.name)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name)
        if before is not None:
            sys.modules[spec.name] = before
        raise
    return module


@final
class _Source(SourceLoader):
    """Runs the text that was read and hashed, not what the file may hold by now; writes no bytecode."""

    def __init__(self, path: str, data: bytes) -> None:
        self._path = path
        self._data = data

    @override
    def get_filename(self, fullname: str) -> str:
        return self._path

    @override
    def get_data(self, path: str) -> bytes:
        return self._data
