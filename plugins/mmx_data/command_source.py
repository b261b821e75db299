"""What the commands of ``mmx data`` share: the path that is read, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mmx_data.source import Source

From = Annotated[
    str, typer.Argument(metavar="PATH", help="A folder, a table, shards (with braces: a-{00000..00099}.tar), or a URL.")
]
As = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Read it as this dataset (mmx plugins lists them).")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the dataset, such as caption=title. Repeatable."),
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Processes that read; one for each core if not given.")
]


def source_of(path: str, name: str | None, sets: Sequence[str] | None, files: Sequence[Path] | None) -> Source:
    """Find what reads a path; imports no torch."""
    from mmx.plugin.manager import Plugins
    from mmx_data.source import find

    return find(path, Plugins(files=files or ()).registries, name, sets or ())
