"""``mmx data pack`` and ``mmx data split``: tar shards of any dataset."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mmx.cli.guard import guarded
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, Quiet, examples
from mmx_data.command_source import As, From, Options, Workers, source_of

if TYPE_CHECKING:
    from mmx.data.stored import StoredDataset
    from mmx_data.picture import Recode
    from mmx_data.plan import PackOptions, Part
    from mmx_data.progress import Progress
    from mmx_data.source import Source

To = Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the shards: new, or one to go on with.")]
ShardMb = Annotated[float, typer.Option(metavar="MB", min=0.001, help="Size of a shard, about.")]
ShardSamples = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Samples of a shard, exactly, in place of its size.")
]
SPLIT = "mmx data split data.csv shards --parts train=0.98,val=0.02 --by picture"
PACK = "mmx data pack photos shards --size 512 --format webp"
SPLIT_EXAMPLES = examples(SPLIT)
PACK_EXAMPLES = examples("mmx data pack data.csv shards", PACK, "mmx data pack t.parquet s --set image=url")


@guarded
def pack(
    path: From,
    out: To,
    shard_mb: ShardMb = 256.0,
    shard_samples: ShardSamples = None,
    size: Annotated[
        int | None, typer.Option(metavar="S", min=1, help="Make the shorter side S pixels where it is more.")
    ] = None,
    format: Annotated[
        Literal["keep", "jpg", "webp", "png"], typer.Option(help="Encode pictures of other formats as this.")
    ] = "keep",
    quality: Annotated[int, typer.Option(metavar="Q", min=1, max=100, help="Of JPEG and WebP that are encoded.")] = 90,
    shuffle: Annotated[
        int | None, typer.Option(metavar="SEED", help="Put samples in a random order; if not given, they keep theirs.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="PATTERN", help="Names of shards; {} is their number.")] = "{}.tar",
    as_: As = None,
    sets: Options = None,
    workers: Workers = None,
    plugin: PluginFiles = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write pictures and captions of any dataset into tar shards that webdataset, img2dataset's users and mmx read.

    A picture that need not be changed keeps its bytes; one that cannot be decoded is skipped, named and counted. The
    same command goes on where it was stopped.
    """
    source = source_of(path, as_, sets, plugin)
    from mmx_data.picture import Recode
    from mmx_data.plan import Part, check_pattern, order_of

    check_pattern(name)
    dataset = source.build()
    options = _options(Recode(size, format, quality), shard_mb, shard_samples, workers)
    parts = [Part(name, order_of(dataset, shuffle))]
    asked = {"name": name} if shuffle is None else {"name": name, "shuffle": shuffle}
    _made(source, dataset, out, lambda progress: parts, options, asked, json, quiet)


@guarded
def split(
    path: From,
    out: To,
    parts: Annotated[str, typer.Option(metavar="NAME=SHARE,...", help="The parts, such as train=0.98,val=0.02.")],
    by: Annotated[
        Literal["key", "picture", "caption"],
        typer.Option(help="What decides on a sample's part: samples with the same are on one side."),
    ] = "key",
    seed: Annotated[int, typer.Option(help="Another seed makes other parts.")] = 0,
    shard_mb: ShardMb = 256.0,
    shard_samples: ShardSamples = None,
    as_: As = None,
    sets: Options = None,
    workers: Workers = None,
    plugin: PluginFiles = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write shards for each part of a dataset. A sample's part depends on the seed and on what --by names, only.

    So the shares are met about, not exactly; the counts are printed.
    """
    source = source_of(path, as_, sets, plugin)
    from mmx_data.picture import Recode
    from mmx_data.split import assigned, read_parts

    shares = read_parts(parts)
    dataset = source.build()
    options = _options(Recode(), shard_mb, shard_samples, workers)

    def found(progress: Progress) -> Sequence[Part]:
        return assigned(dataset, shares, by, seed, options.workers, progress)

    _made(source, dataset, out, found, options, {"parts": shares, "by": by, "seed": seed}, json, quiet)


def _options(how: Recode, shard_mb: float, shard_samples: int | None, workers: int | None) -> PackOptions:
    from mmx_data.plan import PackOptions
    from mmx_shards.format.spread import cores

    return PackOptions(how, shard_mb, shard_samples, workers or cores())


def _made(
    source: Source,
    dataset: StoredDataset,
    out: Path,
    parts: Callable[[Progress], Sequence[Part]],
    options: PackOptions,
    asked: Mapping[str, Any],
    json: bool,
    quiet: bool,
) -> None:
    """Write shards, and say what was written."""
    from mmx_data.command_progress import Shown
    from mmx_data.pack import pack
    from mmx_data.packed import index, plain, table
    from mmx_data.packed_text import packed_lines
    from mmx_data.text import indented

    with Shown(quiet=json or quiet) as progress:
        try:
            found = pack(source, dataset, out, lambda: parts(progress), options, asked, progress)
            made = index(found, options.workers, progress)
        except KeyboardInterrupt:
            print(f"stopped; {out} keeps the shards that are done, and the same command goes on", file=sys.stderr)
            raise
    tables = {pattern: table(found, pattern, source.registries) for pattern, shards in found.parts.items() if shards}
    if json:
        print_json(plain(found, made, tables))
    elif not quiet:
        print("\n".join(packed_lines(found, made)))
        for pattern, text in tables.items():
            which = f" ({pattern.removesuffix('-{}.tar')})" if len(tables) > 1 else ""
            print(f"\nin a recipe{which}:\n\n{indented(text)}")
