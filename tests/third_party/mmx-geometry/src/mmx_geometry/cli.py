"""The command ``mmx geometry``."""

from __future__ import annotations

import json as plain
from pathlib import Path
from typing import Annotated, Any

import typer

from mmx.cli.output import print_json
from mmx.cli.words import Json
from mmx.errors import DataError


def geometry(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    last: Annotated[bool, typer.Option("--last", help="Only the last evaluation.")] = False,
    json: Json = False,
) -> None:
    """Show how far images and texts lay apart at each evaluation of a run.

    Examples:
        mmx geometry runs/NAME
        mmx geometry runs/NAME --last --json
    """
    rows = _rows(run / "geometry.jsonl")[-1 if last else 0 :]
    if json:
        print_json({"evaluations": rows})
        return
    for row in rows:
        gaps = [f"{name} {value:.4f}" for name, value in row.items() if name != "step"]
        print(f"step {row['step']}: {', '.join(gaps) or 'no gap was measured'}")


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [plain.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise DataError(f"{path} is not there: no evaluation of this run was seen by mmx-geometry") from None
    except ValueError as error:
        raise DataError(f"{path} is not what mmx-geometry writes: {error}") from error
