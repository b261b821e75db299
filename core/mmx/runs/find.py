"""Finding runs: near a path, and the one to go on with. Never imports torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mmx.errors import CheckpointError
from mmx.runs.layout import RunFolder, recipe_name


def find_unfinished(runs: Path, recipe: str, say: Callable[[str], None]) -> RunFolder | None:
    """Return the newest run of a recipe that has not finished, for ``--resume auto``; says what it found.

    Args:
        runs: the folder of all runs.
        recipe: the recipe as the user named it.
        say: is told which run it is, which could not be judged, or that there is none.
    """
    for run in runs_in(runs):
        try:
            fits = run.environment().get("recipe_name") == recipe_name(recipe) and run.status().status != "finished"
        except CheckpointError as error:
            say(f"the run {run.path} is passed over: {error}")
            continue
        if fits:
            say(f"going on with the run {run.path}")
            return run
    say(f"no unfinished run of {recipe_name(recipe)} in {runs}; starting a new one")
    return None


def runs_in(folder: Path) -> list[RunFolder]:
    """Return the runs in a folder and in the folders in it, newest first."""
    return sorted(_scan(folder, depth=2), key=_created, reverse=True)


def nearby(path: Path) -> list[RunFolder]:
    """Return up to five runs: the one the path is in, else the newest in it, next to it, or in ``runs/`` here."""
    around = [RunFolder(parent) for parent in path.parents if RunFolder(parent).is_run()]
    if around:
        return around[:1]
    there = [parent for parent in path.parents if parent.is_dir()][:1]  # the folder may be misspelt as well
    places = (path, *(place for folder in there for place in (folder / "runs", folder)), Path("runs"))
    return next((found for found in map(runs_in, places) if found), [])[:5]


def runs_nearby(path: Path) -> str:
    """Return the end of a message about a path that is not what it should be: the runs near it."""
    found = nearby(path)
    return "runs nearby:\n" + "\n".join(f"  {one.path}" for one in found) if found else "there are no runs nearby"


def _scan(folder: Path, depth: int) -> Iterator[RunFolder]:
    try:
        children = [child for child in folder.iterdir() if not child.name.startswith(".") and os.path.isdir(child)]
    except OSError:
        return
    for child in children:
        if RunFolder(child).is_run():
            yield RunFolder(child)
        elif depth > 1:
            yield from _scan(child, depth - 1)


def _created(run: RunFolder) -> str:
    try:
        return str(run.environment().get("created", ""))
    except CheckpointError:
        return ""
