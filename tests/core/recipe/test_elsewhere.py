"""An option of another engine is named with what chooses it."""

import pytest

from mmx.errors import RecipeError
from mmx.plugin.manager import Plugins
from mmx.recipe import load


def test_an_option_of_another_engine_says_which() -> None:
    with pytest.raises(RecipeError) as caught:
        load("quickstart_vit", ("parallel.tensor=2",), (), Plugins().registries)
    text = str(caught.value)
    assert "parallel.tensor: unknown key" in text
    assert "it is an option of the engine 'colossalai': set parallel.engine = \"colossalai\"" in text


def test_one_of_no_engine_does_not() -> None:
    with pytest.raises(RecipeError, match=r"unknown key \(known: .*\)\nhelp") as caught:
        load("quickstart_vit", ("parallel.wings=2",), (), Plugins().registries)
    assert "option of" not in str(caught.value)


def test_the_help_of_a_layout_is_that_of_its_engine() -> None:
    with pytest.raises(RecipeError, match=r"help: mmx recipe schema engine\.colossalai"):
        load("clip_b16", ("parallel.zero=3",), (), Plugins().registries)
