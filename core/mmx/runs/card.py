"""The README of a run: what is in its folder and what can be done with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mmx.runs.plugin_files import flags

_TEXT: Final = """\
# {name}

A vision-language model trained with mmx {version}, recipe `{recipe}`, started {created}.
The results are in `report.html`: open it in a browser.

    mmx run --resume {path}{files}    # go on where it stopped, at the very next sample
    mmx eval {path}{files}            # evaluate the model again{unless}

| file | what it is |
| --- | --- |
| `report.html` | curves, pictures and results; needs no network |
| `model/` | the model by itself: weights, settings, tokenizer, preprocessing |
| `evaluations/` | every evaluation's numbers, as JSON |
| `recipe.toml`, `resolved.toml` | the recipe as it was given, and with every value filled in |
| `weights.json` | where the first weights came from, if the recipe starts from a model |
| `env.json` | versions, machine, commit and command |
| `metrics.jsonl` | losses, rates and times, a line each |
| `ledger.jsonl` | which samples each step was trained on |
| `plugins/` | copies of the plugin files that the run was made with, if any; nothing runs them unasked |
| `checkpoints/`, `last`, `best` | what a run goes on from; the names of the newest and of the best checkpoint |
| `frozen/` | what is never trained, once for all checkpoints; only if there is such a part |
| `status.json` | whether it runs, finished, stopped or failed, and why |
"""


def card(path: Path, recipe: str, version: str, created: str, evaluates: bool, files: Iterable[str] = ()) -> str:
    """Return the README's text; ``evaluates`` says whether the recipe has an evaluator, ``files`` are plugin files."""
    unless = "" if evaluates else "; its recipe has no evaluator, so name one with --set"
    facts = {"recipe": recipe, "version": version, "created": created, "unless": unless, "files": flags(path, files)}
    return _TEXT.format(name=path.name, path=shlex.quote(str(path)), **facts)
