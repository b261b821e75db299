"""``mmx plugins new``: write a plugin of one small working part."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmx.cli.guard import guarded, printable

if TYPE_CHECKING:
    from mmx_scaffold.kinds import Kind
    from mmx_scaffold.names import Names


@guarded
def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="image_encoder (or encoder), text_encoder, fusion, loss, dataset, evaluator, image_transform (or "
            "transform), text_transform, tokenizer, filter or tracker.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What recipes will call the part, such as my_loss.")],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="Where it is written.")] = Path(),
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One file for --plugin, and a recipe, instead of a package.")
    ] = False,
) -> None:
    """Write a new plugin: a small working part, its tests and a recipe that trains with it.

    Examples:
        mmx plugins new loss my_loss
        mmx plugins new loss my_loss --single-file
        mmx plugins new dataset my_pairs --into ~/plugins
    """
    from mmx_scaffold.kinds import kind_of
    from mmx_scaffold.names import checked

    chosen, names = kind_of(kind), checked(name)
    _refuse_known(chosen.kind, name)
    print(printable(_single(chosen, names, into) if single_file else _package(chosen, names, into)))


def _refuse_known(kind: str, name: str) -> None:
    """Refuse the name of an installed part, since neither could be used beside the other; imports no plugin."""
    from mmx.errors import RecipeError
    from mmx.plugin.manager import Plugins

    owners = Plugins().registries[kind].source.listed(kind).get(name, ())
    if owners:
        raise RecipeError(f"{owners[0]} has the {kind} '{name}' already; choose another name")


def _package(kind: Kind, names: Names, into: Path) -> str:
    from mmx_scaffold.names import refuse_taken
    from mmx_scaffold.write import write_package

    refuse_taken(names.module, names.distribution)
    folder = write_package(kind, names, into)
    commands = [
        f"cd {shlex.quote(str(folder))}",
        "pip install --no-build-isolation -e '.[dev]'",
        "mmx run recipe.toml --set train.steps=3",
        f"mmx plugins check {names.module}",
        "python -m pytest",
    ]
    return "\n".join([f"wrote {folder}, the {kind.kind} '{names.part}': {kind.summary}", *_next(commands)])


def _single(kind: Kind, names: Names, into: Path) -> str:
    from mmx_scaffold.names import refuse_taken
    from mmx_scaffold.write import write_single

    refuse_taken(names.identifier)
    file = write_single(kind, names, into)
    recipe, plugin = shlex.quote(file.with_suffix(".toml").name), shlex.quote(file.name)
    commands = [
        *([] if into == Path() else [f"cd {shlex.quote(str(into))}"]),
        f"mmx run {recipe} --plugin {plugin} --set train.steps=3",
        f"mmx plugins check {plugin}",
    ]
    about = f"wrote {file} and {file.with_suffix('.toml')}, the {kind.kind} '{names.part}': {kind.summary}"
    return "\n".join([about, *_next(commands)])


def _next(commands: list[str]) -> list[str]:
    return ["", "next:", *(f"  {command}" for command in commands)]
