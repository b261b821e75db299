"""``mmx data``: look at data, and make shards of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmx.cli.guard import guarded
from mmx.cli.output import print_json
from mmx.cli.words import Json, PluginFiles, examples
from mmx_data import command_pack, command_shards
from mmx_data.command_source import As, From, Options, Workers, source_of

INSPECT = "mmx data inspect photos --html photos.html"
STATS = "mmx data stats 'shards/{00000..00099}.tar'"


data = typer.Typer(
    help="Look at data, pack it into shards, and prove that it is whole.",
    epilog=examples(
        INSPECT, STATS, command_pack.PACK, command_pack.SPLIT, "mmx data index shards", "mmx data verify shards"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@guarded
def inspect(
    path: From,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures too.")] = None,
    samples: Annotated[int, typer.Option(metavar="N", min=0, help="Samples on the page.")] = 3,
    look: Annotated[int, typer.Option(metavar="N", min=1, help="Samples that are looked at, evenly spread.")] = 1000,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Count the tokens of captions, and those it cuts.")
    ] = "clip",
    as_: As = None,
    sets: Options = None,
    workers: Workers = None,
    plugin: PluginFiles = None,
    json: Json = False,
) -> None:
    """Say what data is there: format, keys, pictures, captions, fields, and what is wrong with samples of it."""
    source = source_of(path, as_, sets, plugin)
    from mmx_data import inspect as curate
    from mmx_data.command_progress import Shown
    from mmx_data.page import write_page
    from mmx_data.text import inspection_lines
    from mmx_data.tokens import ruler
    from mmx_shards.format.spread import cores

    dataset = source.build()
    measure = ruler(tokenizer, source.registries) if tokenizer else None
    with Shown(quiet=json) as progress:
        found = curate.inspect(source, dataset, look, samples, measure, workers or cores(), progress)
    if html is not None:
        write_page(html, path, found, dataset, source.largest)
    if json:
        print_json(curate.plain(found))
        return
    print("\n".join(inspection_lines(found)))
    if html is not None:
        print(f"\npage: {html}")


@guarded
def stats(
    path: From,
    as_: As = None,
    sets: Options = None,
    workers: Workers = None,
    plugin: PluginFiles = None,
    json: Json = False,
) -> None:
    """Count over every sample: sizes, shapes, captions, duplicates, and what is bad. Every picture is decoded."""
    source = source_of(path, as_, sets, plugin)
    from mmx_data.command_progress import Shown
    from mmx_data.stats import plain, statistics
    from mmx_data.stats_text import statistics_lines
    from mmx_shards.format.spread import cores

    with Shown(quiet=json) as progress:
        found = statistics(source, source.build(), workers or cores(), progress)
    if json:
        print_json(plain(found))
    else:
        print("\n".join(statistics_lines(found)))


data.command("inspect", epilog=examples("mmx data inspect data.csv", INSPECT))(inspect)
data.command("stats", epilog=examples(f"{STATS} --json"))(stats)
data.command("pack", epilog=command_pack.PACK_EXAMPLES)(command_pack.pack)
data.command("split", epilog=command_pack.SPLIT_EXAMPLES)(command_pack.split)
data.command("index", epilog=command_shards.INDEX_EXAMPLES)(command_shards.index)
data.command("verify", epilog=command_shards.VERIFY_EXAMPLES)(command_shards.verify)
