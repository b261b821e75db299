"""``mmx data index`` and ``mmx data verify``: what is in shards, and whether they are still that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmx.cli.guard import guarded, printable
from mmx.cli.output import print_json
from mmx.cli.words import Json, Quiet, examples

if TYPE_CHECKING:
    from mmx_shards.format.index import Index
    from mmx_shards.format.roles import Extensions
    from mmx_storage.files import Files

INDEX_EXAMPLES: Final = examples(
    "mmx data index 'data/{00000..00331}.tar'",
    "mmx data index data --caption json:caption --workers 8",
    "mmx data index 's3://bucket/{000..127}.tar' --to index.safetensors",
)
VERIFY_EXAMPLES: Final = examples(
    "mmx data verify 'data/{00000..00331}.tar'",
    "mmx data verify data --decode --json",
)
Patterns = Annotated[
    list[str], typer.Argument(metavar="PATTERN", help="Shards: paths, URLs, braces such as {000..127}, folders.")
]
Images = Annotated[
    str | None, typer.Option("--image", metavar="EXT,EXT", help="Extensions of pictures, if not the usual ones.")
]
Caption = Annotated[
    str | None,
    typer.Option("--caption", metavar="EXT[:FIELD]", help='Extension of captions, such as "txt" or "json:caption".'),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; one for each core if not given.")]


@guarded
def index(
    patterns: Patterns,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where the index goes; if not given, beside the shards.")
    ] = None,
    image: Images = None,
    caption: Caption = None,
    workers: Workers = None,
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="Leave out shards that are damaged.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Make the index of shards: where each sample is, its checksum, and what filters ask for.

    With it a dataset opens at once, and a shard that was cut short or changed is found. Samples that cannot be used are
    named. A damaged shard is an error, and then nothing is written.
    """
    from mmx_data.command_progress import Shown
    from mmx_shards.format.build import build
    from mmx_shards.format.spread import cores
    from mmx_shards.format.table import built_document, built_lines

    files = _files(patterns)
    target, extensions = to or _beside(files.urls[0]), _extensions(image, caption)
    with Shown(quiet or json) as progress:
        progress.start("shards", len(files.urls))
        built = build(files, extensions, target, workers or cores(), skip_damaged, lambda part: progress.tick(1))
    if json:
        print_json(built_document(built))
    elif not quiet:
        _print(built_lines(built))
    return 0


@guarded
def verify(
    patterns: Patterns,
    index: Annotated[
        str | None, typer.Option("--index", metavar="FILE", help="The index; if not given, the one beside the shards.")
    ] = None,
    image: Images = None,
    caption: Caption = None,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every picture, too.")] = False,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Read all shards again and say which are not what they were when they were indexed.

    The exit code is 4 if something is wrong. Without an index, only what shows by itself is found: damaged headers, and
    shards that were cut inside a member or lack a tar's end mark.
    """
    from mmx_data.command_progress import Shown
    from mmx_shards.format.spread import cores
    from mmx_shards.format.table import report_document, report_lines
    from mmx_shards.format.verify import verify

    files = _files(patterns)
    found = _index(index, files.urls[0])
    extensions = _extensions(image, caption) if found is None else found.extensions
    with Shown(quiet or json) as progress:
        progress.start("shards", len(files.urls))
        reports = verify(files, extensions, found, workers or cores(), decode, lambda report: progress.tick(1))
    bad = any(report.wrong for report in reports)
    if json:
        print_json(report_document(reports, found is not None))
    elif bad or not quiet:
        _print(report_lines(reports, found is not None))
    return 4 if bad else 0


def _files(patterns: Sequence[str]) -> Files:
    from mmx.config import RemoteTable
    from mmx_shards.format.find import shards_of
    from mmx_storage.files import Files

    # Nothing is kept: what counts is what is stored there, not what was read before.
    return Files(shards_of(patterns), RemoteTable(cache_gb=0))


def _extensions(image: str | None, caption: str | None) -> Extensions:
    from mmx_shards.format.roles import Extensions

    usual = Extensions()
    names = tuple(name.strip().lower().removeprefix(".") for name in (image or "").split(",") if name.strip())
    return Extensions(names or usual.image, (caption or usual.caption).removeprefix("."))


def _beside(url: str) -> Path:
    from mmx.errors import RecipeError
    from mmx_shards.format.index import beside, is_away

    if is_away(url):
        raise RecipeError("the shards are at URLs: say which file on this machine the index goes to, with --to FILE")
    return Path(beside(url.partition("://")[2] if "://" in url else url))


def _index(where: str | None, first: str) -> Index | None:
    """Open the index that was named, or the one beside the shards if there is one."""
    from mmx.config import RemoteTable
    from mmx_shards.format.index import beside, open_index
    from mmx_storage.failures import DeniedError, MissingError
    from mmx_storage.files import Files

    remote = RemoteTable(cache_gb=0)
    if where is None:
        try:
            Files([beside(first)], remote).check(0)
        except (MissingError, DeniedError):  # S3 denies what is not there to whoever may not list
            return None
    return open_index(where or beside(first), remote)


def _print(lines: Iterable[str]) -> None:
    print(printable("\n".join(lines)))
