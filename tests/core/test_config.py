"""Options of parts: strict, frozen, and parts inside the options of other parts."""

import pytest
from pydantic import ValidationError

import throwaway
from mmx.config import Choices, EncoderConfig, PartConfig
from mmx.plugin.registry import Registries


def test_options_are_strict_closed_and_frozen() -> None:
    for wrong in ({"width": "64"}, {"width": True}, {"width": 64.0}, {"widht": 64}):
        with pytest.raises(ValidationError):
            throwaway.Vit.model_validate({"name": "vit", **wrong})
    config = throwaway.Vit(name="vit")
    with pytest.raises(ValidationError, match="frozen"):
        config.width = 3


@pytest.mark.parametrize("train", ["full", "frozen", "last:1", "last:12"])
def test_what_of_a_tower_is_trained(train: str) -> None:
    assert EncoderConfig(name="x", train=train).train == train


@pytest.mark.parametrize("train", ["", "last", "last:0", "last:-1", "last:01", "all", "full ", "lora"])
def test_what_it_cannot_be(train: str) -> None:
    with pytest.raises(ValidationError):
        EncoderConfig(name="x", train=train)


def test_errors_inside_nested_parts_keep_their_path(registries: Registries) -> None:
    nested = {"name": "mixed", "first": {"name": "folder", "path": "x", "sources": [{"path": "a"}, {"path": 3}]}}
    with pytest.raises(ValidationError) as caught:
        throwaway.Mixed.model_validate({"name": "mixed", "first": nested}, context=registries)
    assert [error["loc"] for error in caught.value.errors()] == [("first", "first", "sources", 1, "path")]


def test_a_nested_part_that_does_not_exist(registries: Registries) -> None:
    with pytest.raises(ValidationError) as caught:
        throwaway.Mixed.model_validate({"name": "mixed", "first": {"name": "foldr"}}, context=registries)
    (error,) = caught.value.errors()
    assert error["loc"] == ("first", "name")
    assert error["msg"] == "no dataset 'foldr'; did you mean 'folder'? (known: folder, mixed)"


def test_a_nested_table_cannot_be_read_without_registries() -> None:
    with pytest.raises(TypeError, match="the registries must be the validation's context"):
        throwaway.Mixed.model_validate({"name": "mixed", "first": {"name": "folder"}})


def test_lists_become_tuples_and_texts_paths(registries: Registries) -> None:
    table = {"name": "folder", "path": "x", "sources": [{"path": "a"}]}
    config = throwaway.Mixed.model_validate({"name": "mixed", "first": table}, context=registries)
    assert config.first == throwaway.Folder.model_validate_json('{"name":"folder","path":"x","sources":[{"path":"a"}]}')


def test_options_are_written_as_their_own_class(registries: Registries) -> None:
    table = {"name": "mixed", "first": {"name": "folder", "path": "x", "sources": [], "limit": 3}}
    assert throwaway.Mixed.model_validate(table, context=registries).model_dump(mode="json", exclude_none=True) == table


def test_a_part_without_a_small_form_is_its_own() -> None:
    config = PartConfig(name="x")
    assert config.tiny() is config


def test_registries_are_what_slots_choose_from(registries: Registries) -> None:
    assert isinstance(registries, Choices) and registries.choose("loss", "contrast") is not None
