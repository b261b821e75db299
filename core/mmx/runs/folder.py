"""Making the folder of a new run, and opening one. Never imports torch."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mmx.checkpoint.atomic import remove_tree, sync_folder, write_new
from mmx.errors import CheckpointError, RecipeError
from mmx.plugin.manager import Plugins
from mmx.runs.card import card
from mmx.runs.environment import describe
from mmx.runs.find import runs_nearby
from mmx.runs.layout import FILES, RunFolder, Status, dump, recipe_name
from mmx.runs.mask import mask
from mmx.runs.plugin_files import copies

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def create(
    runs: Path,
    recipe: str,
    given: str,
    resolved: str,
    *,
    name: str | None = None,
    argv: Sequence[str] = (),
    plugins: Plugins | None = None,
    files: Mapping[str, bytes] | None = None,
) -> RunFolder:
    """Make the folder of a new run: ``runs/<name>``, or ``runs/<recipe>/<time>-<random>`` if no name is given.

    Args:
        runs: the folder of all runs.
        recipe: the recipe as the user named it; a path or a name.
        given: its text.
        resolved: the text with every value filled in.
        name: the run's name.
        argv: the command line, for ``env.json``.
        plugins: those that the run uses; their names and versions are kept, and their files copied.
        files: what parts are built from, by name; the run has copies in ``files/``.

    Raises:
        RecipeError: the name cannot be a folder's name.
        CheckpointError: the run is there already, or the folder cannot be written.
    """
    created = datetime.now(UTC)
    path = runs / checked_name(name) if name is not None else runs / recipe_name(recipe) / _stamp(created)
    facts = {
        "recipe": recipe,
        "recipe_name": recipe_name(recipe),
        "created": created.isoformat(),
        **describe(argv, plugins),
    }
    status = Status("running", 0)
    names = [] if plugins is None else [file.name for file in plugins.files]
    texts = {
        "recipe.toml": given.encode(),
        "resolved.toml": resolved.encode(),
        "env.json": dump(facts),
        "status.json": dump(asdict(status)),
        "README.md": card(
            path,
            recipe,
            facts["mmx"],
            created.isoformat(timespec="minutes"),
            "evaluators" in tomllib.loads(resolved),
            names,
        ).encode(),
        **copies([] if plugins is None else plugins.files),
        **{f"{FILES}/{name}": data for name, data in (files or {}).items()},
    }
    try:
        _place(path, texts)
    except OSError as error:
        if os.path.lexists(path):
            raise CheckpointError(_taken(path, argv)) from error
        raise CheckpointError(f"cannot make the run's folder {path}: {error.strerror}") from error
    return RunFolder(path)


def open_run(path: Path) -> RunFolder:
    """Open the folder of a run.

    Raises:
        CheckpointError: it is not one; the message names runs nearby.
    """
    run = RunFolder(path)
    if run.is_run():
        return run
    what = "is not the folder of a run: it has no resolved.toml" if os.path.exists(path) else "does not exist"
    raise CheckpointError(
        f"{path} {what}; a run's folder has resolved.toml, env.json and checkpoints/\n{runs_nearby(path)}"
    )


def _place(path: Path, texts: dict[str, bytes]) -> None:
    # Made aside and renamed: a run's folder has all its first files or is not there, and two runs never share one.
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    aside = path.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        aside.mkdir(mode=0o755)
        for name, data in texts.items():
            (aside / name).parent.mkdir(mode=0o755, exist_ok=True)
            write_new(aside / name, [data])
        os.rename(aside, path)
    except BaseException:
        remove_tree(aside)
        raise
    sync_folder(path.parent)


def checked_name(name: str) -> str:
    """Return the name of a run if a folder can have it.

    Raises:
        RecipeError: it cannot; the message says what is allowed.
    """
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"--name {name!r} cannot be a run's name: up to 100 of A-Z a-z 0-9 . _ -, the first a letter or digit"
        )
    return name


def _stamp(created: datetime) -> str:
    return f"{created.astimezone():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def _taken(path: Path, argv: Sequence[str]) -> str:
    if not RunFolder(path).is_run():
        return f"{path} is there already and is not a run; choose another name with --name"
    return (
        f"the run {path} is there already; go on with it, or start another:\n"
        f"  mmx run --resume {shlex.quote(str(path))}\n"
        f"  {_renamed(argv, path)}"
    )


def _renamed(argv: Sequence[str], path: Path) -> str:
    """Return the command that was typed, with a name that is free."""
    names = (f"{path.name[:90]}-{count}" for count in itertools.count(2))
    free = next(name for name in names if not os.path.lexists(path.with_name(name)))
    command = mask(argv)
    places = [place for place, word in enumerate(command) if word == "--name" or word.startswith("--name=")]
    if command[:1] != ["mmx"] or not places:
        return f"name={free!r}"  # started from Python, where there is no command
    last = places[-1]
    spelt = [f"--name={free}"] if "=" in command[last] else ["--name", free]
    return shlex.join([*command[:last], *spelt, *command[last + len(spelt) :]])
