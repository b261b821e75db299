"""Which sources have which views, and whether turns and views fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, Literal, cast

from mmx.config import DatasetConfig, TransformConfig
from mmx.recipe.schema import Recipe
from mmx.recipe.source import KeyPath

Finding = tuple[KeyPath, str]
Views = Literal["images", "texts"]
ALONE: Final = "train"
"""The only source of a recipe that has no ``data.sources``."""
_OF: Final = {"images": "image", "texts": "text"}
_WORDS: Final = {"image": "pictures", "text": "captions"}


def sources_of(recipe: Recipe) -> dict[str, DatasetConfig]:
    """Return the datasets that are trained on by their names among the sources; empty if there are none yet."""
    return {key.removeprefix("sources."): config for key, config in recipe.data.given().items()}


def fed(recipe: Recipe, table: Views) -> dict[str, tuple[str, ...]]:
    """Return the sources whose samples have each view; of a recipe without data, a stand-in that has all."""
    views = cast("Mapping[str, TransformConfig]", getattr(recipe.data, table))
    given = sources_of(recipe)
    having = [name for name, config in given.items() if _OF[table] in config.modalities()] if given else [ALONE]

    def find(name: str, seen: tuple[str, ...] = ()) -> tuple[str, ...]:
        view = views[name]
        if view.sources:
            return view.sources
        if view.of is not None and view.of in views and view.of not in (*seen, name):
            return find(view.of, (*seen, name))
        return tuple(having)

    return {name: find(name) for name in views}


def feed_findings(recipe: Recipe) -> Iterator[Finding]:
    """Yield what does not fit together in turns, and in which views are of which sources."""
    turns = list(_turns(recipe))
    yield from turns
    for table in ("images", "texts"):
        yield from _views(recipe, table, whole=not turns)


def _turns(recipe: Recipe) -> Iterator[Finding]:
    data, known = recipe.data, ", ".join(recipe.data.sources) or "none"
    if data.turns and not data.sources:
        yield ("data", "turns"), "are of several sources: give them as [data.sources.NAME]"
        return
    taken = Counter[str]()
    for name, turn in data.turns.items():
        for source in data.turn(name):
            taken[source] += 1
            if source not in data.sources:
                where: KeyPath = ("data", "turns", name, *(["sources"] if turn.sources else []))
                yield where, f"there is no [data.sources.{source}] (sources: {known})"
            elif taken[source] == 2:
                yield ("data", "turns", name), f"the source '{source}' has another turn too; each source has one"
    for source in data.sources if data.turns else ():
        if not taken[source]:
            yield ("data", "turns"), f"the source '{source}' has no turn: add [data.turns.{source}], or name it in one"


def _views(recipe: Recipe, table: Views, *, whole: bool) -> Iterator[Finding]:
    data, given, modality = recipe.data, sources_of(recipe), _OF[table]
    views = cast("Mapping[str, TransformConfig]", getattr(data, table))
    for name, sources in fed(recipe, table).items():
        view, path = views[name], ("data", table, name, "sources")
        unknown = [source for source in view.sources if source not in data.sources]
        lacking = [source for source in sources if source in given and modality not in given[source].modalities()]
        wrong = (
            "role"
            if table == "images" and view.role is not None
            else "picture"
            if table == "texts" and view.picture
            else ""
        )
        if wrong:
            other = "pictures have no roles" if wrong == "role" else "captions are chosen by their role"
            yield ("data", table, name, wrong), f"is not for [data.{table}]: {other}"
        if view.of is not None and (view.role is not None or view.picture):
            key = "picture" if view.picture else "role"
            yield ("data", table, name, key), f"goes with the view '{view.of}', which this one is made from"
        if unknown:
            known = ", ".join(data.sources) or "none: the only dataset is data.train"
            yield path, f"there is no [data.sources.{unknown[0]}] (sources: {known})"
        elif lacking:
            yield path, f"samples of the source '{lacking[0]}' have no {_WORDS[modality]}"
        elif given and not sources:
            yield (
                ("data", table, name),
                f"no sample has this view: there are no {_WORDS[modality]} in what is trained on",
            )
        elif whole and (text := _partly(recipe, sources)):
            yield ("data", table, name), text
        elif (
            view.of is not None
            and view.of in views
            and (more := [one for one in sources if one not in fed(recipe, table)[view.of]])
        ):
            yield path, f"the view '{view.of}', which it is made from, has no samples of '{more[0]}'"


def _partly(recipe: Recipe, sources: tuple[str, ...]) -> str:
    """Say that a step would have the view for some of its samples only; empty if all or none have it."""
    data = recipe.data
    steps = {name: data.turn(name) for name in data.turns} or {"": tuple(sources_of(recipe)) or (ALONE,)}
    for name, together in steps.items():
        without = [source for source in together if source not in sources]
        if without and len(without) < len(together):
            why = f"share the turn '{name}'" if name else "are mixed in each step"
            return (
                f"'{without[0]}' has no samples of this view, but {' and '.join(together)} {why}: all rows of a step have "
                "the same views; let them take turns ([data.turns.NAME])"
            )
    return ""
