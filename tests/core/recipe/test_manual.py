"""What is shown of tables and parts: pages, the JSON Schema, and new recipes."""

import json
import tomllib
from typing import Any

import pytest

import throwaway
from mmx.errors import MmxError, RecipeError
from mmx.plugin.kinds import KINDS
from mmx.plugin.registry import Registries
from mmx.recipe.describe import options
from mmx.recipe.jsonschema import json_schema
from mmx.recipe.manual import KIND_OF, TABLES, kind_of, overview, page, part_page, part_plain, snippet
from mmx.recipe.schema import CheckpointTable, DataTable, Recipe
from mmx.recipe.template import PLACES, template
from throwaway import Load, Write


def types(table: type[Any]) -> dict[str, str]:
    return {option.key: option.type for option in options(table)}


def test_types_in_words() -> None:
    assert types(throwaway.Folder) == {
        "name": "text",
        "keep": "table",
        "path": "text",
        "sources": "list of table",
        "limit": 'whole number or "all"',
    }
    assert types(throwaway.Mixed) == {
        "name": "text",
        "keep": "table",
        "first": "table of a dataset",
        "second": "table of a dataset",
    }
    assert types(throwaway.Adam)["betas"] == "list of 2: number < 1"
    assert types(throwaway.Adam)["schedule"] == "table of a schedule"
    assert types(throwaway.Adam)["groups"] == "tables by name"
    assert types(CheckpointTable)["keep_best"] == "true or false"
    assert types(DataTable)["images"] == "tables by name"


def test_what_must_be_given_comes_first() -> None:
    assert [(option.key, option.needed, option.default) for option in options(DataTable)] == [
        ("batch", True, ""),
        ("workers", False, "0"),
        ("worker_timeout", False, "300.0"),
        ("bad_samples", False, "0.01"),
        ("window", False, "0"),
        ("train", False, ""),
        ("sources", False, ""),
        ("mix", False, ""),
        ("turns", False, ""),
        ("images", False, ""),
        ("texts", False, ""),
    ]


def test_every_field_of_a_recipe_has_help() -> None:
    for table in (Recipe, *TABLES.values()):
        assert [option.key for option in options(table) if not option.help] == []


def test_every_table_has_a_page(registries: Registries) -> None:
    for topic in (*TABLES, *KIND_OF, *KINDS, *PLACES):
        assert max(map(len, page(topic, registries).splitlines())) <= 80
    for table in Recipe.model_fields.keys() - {"name", "seed", "plugins"}:
        assert page(table, registries)


@pytest.mark.parametrize("topic", ["losses.contrast", "loss.contrast"])
def test_the_page_of_a_part(registries: Registries, topic: str) -> None:
    said = "What every part is here: nobody builds one."
    assert page(topic, registries).startswith(
        f"loss contrast\nthe loss contrast\n\n{said}\n\nweight: number >= 0; default 1.0\n"
    )


def test_a_name_of_the_recipes_own_leads_to_the_kind(registries: Registries) -> None:
    assert "  contrast: the loss contrast" in page("losses.main", registries)
    assert "  augment: the image_transform augment" in page("data.images.clean", registries)


@pytest.mark.parametrize(("topic", "hint"), [("optm", "; did you mean 'optim'?"), ("zzz", ""), ("losses_", "")])
def test_tables_that_do_not_exist(registries: Registries, topic: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=rf"^a recipe has no table '{topic}'"):
        page(topic, registries)


def test_kinds_by_the_name_of_their_table() -> None:
    assert kind_of("losses") == kind_of("loss") == "loss"
    with pytest.raises(RecipeError, match="no kind of part 'los'; did you mean 'loss'"):
        kind_of("los")


def test_a_part_says_where_its_options_are(registries: Registries) -> None:
    entry = registries["dataset"]["folder"]
    assert f"options in {throwaway.__file__}:" in part_page(entry)
    assert part_plain(entry)["options"][0] == {
        "key": "path",
        "type": "text",
        "help": "The folder to read.",
        "default": None,
        "needed": True,
        "example": "",
    }


def test_a_snippet_can_be_pasted(registries: Registries) -> None:
    for entry in registries:
        text = snippet(entry)
        assert list(_leaves(tomllib.loads(text))) == [entry.name]
    assert snippet(registries["dataset"]["folder"]).splitlines()[2] == "# path = ...  # needed: text"


def test_the_overview_names_every_table() -> None:
    shown = [line.partition(":")[0] for line in overview().splitlines() if line and not line.startswith(" ")]
    assert {"extends", *Recipe.model_fields} <= set(shown)


def test_the_json_schema_knows_every_part(registries: Registries) -> None:
    schema = json_schema(registries)
    json.dumps(schema)
    assert {f"{entry.kind}.{entry.name}" for entry in registries} <= schema["$defs"].keys()
    assert schema["properties"]["image_encoder"]["anyOf"] == [
        {"$ref": "#/$defs/image_encoder.conv"},
        {"$ref": "#/$defs/image_encoder.vit"},
    ]
    assert schema["$defs"]["engine.remote"]["properties"]["engine"]["const"] == "remote"
    assert "extends" in schema["properties"]
    assert not {node for node in _references(schema) if not _resolves(node, schema)}
    assert '"null"' not in json.dumps(schema) and '"required": [' not in json.dumps(schema)


@pytest.mark.parametrize("chosen", [{}, {"evaluator": ["zero"], "engine": ["remote"], "tracker": ["journal"]}])
def test_a_new_recipe_holds_but_for_what_it_asks_for(
    chosen: dict[str, list[str]], registries: Registries, write: Write, read: Load
) -> None:
    text = template(chosen, registries)
    with pytest.raises(RecipeError) as caught:
        read(write(text=text))
    assert "data.train.path: is missing" in str(caught.value) and "problems" not in str(caught.value)
    assert text.count("NEEDED") == 1
    recipe = read(write(text=text.replace("# path = ...  # NEEDED: text", 'path = "x"')))
    assert recipe.image_encoder.name == "conv"
    assert list(recipe.evaluators) == chosen.get("evaluator", [])
    assert recipe.parallel.name == chosen.get("engine", ["local"])[0]


def test_a_new_recipe_takes_the_parts_that_were_chosen(registries: Registries) -> None:
    values = tomllib.loads(template({"image_encoder": ["vit"], "loss": ["contrast"]}, registries))
    assert values["image_encoder"] == {"name": "vit"}
    assert values["losses"] == {"contrast": {"name": "contrast"}}


def test_a_new_recipe_from_parts_that_do_not_exist(registries: Registries) -> None:
    with pytest.raises(MmxError, match="no image_encoder 'vti'; did you mean 'vit'"):
        template({"image_encoder": ["vti"]}, registries)
    with pytest.raises(RecipeError, match="no image_encoder is installed"):
        template({}, Registries())


def _leaves(value: Any) -> list[Any]:
    return [leaf for item in value.values() for leaf in _leaves(item)] if isinstance(value, dict) else [value]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for item in node for found in _references(item)] if isinstance(node, list) else []


def _resolves(reference: str, schema: dict[str, Any]) -> bool:
    node: Any = schema
    for step in reference.removeprefix("#/").split("/"):
        node = node.get(step) if isinstance(node, dict) else None
    return node is not None
