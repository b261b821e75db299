"""Filters: which samples of a dataset are used."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_filters.configs import AspectConfig, CharactersConfig, NumberConfig, SideConfig, WordsConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the filters."""
    for name, config, part, summary in (
        ("side", SideConfig, "Side", "the shorter side of a picture"),
        ("aspect", AspectConfig, "Aspect", "how thin a picture is"),
        ("characters", CharactersConfig, "Characters", "the length of the longest caption"),
        ("number", NumberConfig, "Number", "a number that is stored with samples, such as a similarity"),
    ):
        register("filter", name, config=config, part=f"mmx_filters.numbers:{part}", summary=summary)
    register(
        "filter",
        "words",
        config=WordsConfig,
        part="mmx_filters.words:Words",
        summary="the number of words of captions, and phrases that must not be in them",
    )
