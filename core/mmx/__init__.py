"""mmx: train vision-language models from plugins and one TOML recipe.

>>> import mmx
>>> result = mmx.run("quickstart", overrides=["train.steps=50"])
>>> model = mmx.load(result.summary["run"])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmx.models.bundle import LoadedModel
    from mmx.plugin.hookspecs import hookimpl as hookimpl
    from mmx.runs.request import RunResult


def __getattr__(name: str) -> object:
    """Import ``hookimpl`` when a plugin asks for it: ``mmx --help`` needs no plugin system."""
    if name == "hookimpl":
        from mmx.plugin.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module 'mmx' has no attribute '{name}'")


def run(
    recipe: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    resume: str | Path | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    quiet: bool = False,
    plugins: Sequence[str | Path] = (),
) -> RunResult:
    """Train from a recipe, as ``mmx run`` does, and return how it ended.

    Args:
        recipe: a file, or the name of a recipe that comes with mmx.
        overrides: ``KEY=VALUE`` each, as given to ``--set``.
        resume: a run folder to go on with, or "auto".
        out: the folder for run folders.
        name: the run folder's name.
        quiet: write nothing to the terminal.
        plugins: plugins that are one Python file each, as given to ``--plugin``.

    Raises:
        mmx.errors.MmxError: the message says what to do.
    """
    from mmx.launch.threads import settle

    settle()
    from mmx.runs.request import RunRequest
    from mmx.train.prepare import prepare

    request = RunRequest(
        recipe=None if recipe is None else Path(recipe),
        overrides=tuple(overrides),
        resume=None if resume is None else str(resume),
        out=Path(out),
        name=name,
        quiet=quiet,
        plugins=tuple(map(Path, plugins)),
    )
    say = (lambda message: None) if quiet else print
    prepared = prepare(request, say)
    from mmx.train.start import start

    return start(prepared, say)


def load(
    path: str | Path, device: str = "cpu", *, overrides: Sequence[str] = (), plugins: Sequence[str | Path] = ()
) -> LoadedModel:
    """Load a model, to embed pictures and texts: of a run, finished or stopped, or of a model folder of any known format.

    Args:
        path: the folder; ``FORMAT:FOLDER`` where it is of several formats.
        device: where the model goes.
        overrides: ``KEY=VALUE`` each, over what the folder says of the model, such as ``preprocess.size=224``.
        plugins: the plugin files that have parts of the model, or its format.

    Raises:
        mmx.errors.CheckpointError: there is no model there.
    """
    from mmx.launch.threads import settle

    settle()
    import torch

    from mmx.models.load import load_model
    from mmx.plugin.manager import Plugins

    return load_model(path, Plugins(files=tuple(map(Path, plugins))), torch.device(device), overrides)
