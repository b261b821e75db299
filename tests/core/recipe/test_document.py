"""``extends``: recipes put over each other."""

from pathlib import Path

import pytest

import throwaway
from mmx.errors import RecipeError
from throwaway import Load, Write


def fails(path: Path, read: Load) -> str:
    with pytest.raises(RecipeError) as caught:
        read(path)
    return str(caught.value)


def test_later_wins_key_by_key(write: Write, read: Load) -> None:
    write("low.toml")
    write("mid.toml", text="seed = 4\n[image_encoder]\nheads = 2\n[data.train]\npath = 'mid'\n")
    recipe = read(write("top.toml", text='extends = ["low.toml", "mid.toml"]\n[image_encoder]\nheads = 8\n'))
    assert recipe.seed == 4
    assert recipe.image_encoder == throwaway.Vit(name="vit", width=32, heads=8)
    assert recipe.sources["image_encoder.width"] == "low.toml:6"
    assert recipe.sources["image_encoder.heads"] == "top.toml:3"
    assert recipe.sources["data.train.path"] == "mid.toml:5"


def test_a_chain_and_paths_relative_to_the_file(write: Write, read: Load) -> None:
    write("shared/low.toml")
    write("shared/deep/mid.toml", text='extends = "../low.toml"\nseed = 5\n')
    recipe = read(write("own/top.toml", text='extends = "../shared/deep/mid.toml"\n'))
    assert recipe.seed == 5
    assert recipe.sources["seed"] == "shared/deep/mid.toml:2"


def test_a_recipe_has_its_own_name(write: Write, read: Load) -> None:
    write("low.toml", ("seed = 3", 'name = "other"'))
    assert read("low.toml").name == "other"
    assert read(write("top.toml", text='extends = "low.toml"\n')).name == "top"


def test_another_part_replaces_the_whole_table(write: Write, read: Load) -> None:
    write("low.toml")
    recipe = read(write("top.toml", text='extends = "low.toml"\n[image_encoder]\nname = "conv"\n'))
    assert recipe.image_encoder == throwaway.EncoderConfig(name="conv")
    assert "image_encoder.width" not in recipe.sources


def test_the_same_part_keeps_the_options(write: Write, read: Load) -> None:
    write("low.toml")
    recipe = read(write("top.toml", text='extends = "low.toml"\n[image_encoder]\nname = "vit"\nheads = 1\n'))
    assert recipe.image_encoder == throwaway.Vit(name="vit", width=32, heads=1)


def test_another_engine_replaces_the_whole_table(write: Write, read: Load) -> None:
    write("low.toml", ("[train]", '[parallel]\nengine = "remote"\nhosts = 2\n[train]'))
    recipe = read(write("top.toml", text='extends = "low.toml"\n[parallel]\nengine = "local"\n'))
    assert recipe.resolved()["parallel"] == {"engine": "local"}


def test_one_dataset_and_several_replace_each_other(write: Write, read: Load) -> None:
    write("low.toml")
    own = 'extends = "low.toml"\n[data.sources.a]\nname = "folder"\npath = "p"\n'
    recipe = read(write("top.toml", text=own))
    assert recipe.data.train is None and list(recipe.data.sources) == ["a"]
    back = read(write("back.toml", text='extends = "top.toml"\n[data.train]\nname = "folder"\npath = "q"\n'))
    assert back.data.train is not None and back.data.sources == {}


def test_steps_and_epochs_replace_each_other(write: Write, read: Load) -> None:
    write("low.toml")
    recipe = read(write("top.toml", text='extends = "low.toml"\n[train]\nepochs = 2.0\n'))
    assert (recipe.train.steps, recipe.train.epochs) == (None, 2.0)


def test_lists_are_replaced_as_a_whole(write: Write, read: Load) -> None:
    write("low.toml", ('path = "pictures"', 'path = "p"\nsources = [{ path = "a" }, { path = "b", weight = 2.0 }]'))
    recipe = read(write("top.toml", text='extends = "low.toml"\n[data.train]\nsources = [{ path = "c" }]\n'))
    assert recipe.resolved()["data"]["train"]["sources"] == [{"path": "c", "weight": 1.0}]
    assert recipe.sources["data.train.sources[0].path"] == "top.toml:3"
    assert recipe.sources["data.train.sources[0].weight"] == "default"


def test_mistakes_are_shown_where_they_are(write: Write, read: Load) -> None:
    write("low.toml", ("width = 32", "width = -32"))
    message = fails(write("top.toml", text='extends = "low.toml"\nseed = -1\n'), read)
    assert message.splitlines()[1:3] == [
        "top.toml:2: seed: should be at least 0, not -1",
        "low.toml:6: image_encoder.width: should be greater than 0, not -32",
    ]


def test_circles_are_refused(write: Write, read: Load) -> None:
    write("b.toml", text='extends = "c.toml"\n')
    write("c.toml", text='# c\nextends = "./b.toml"\n')
    message = fails(write("a.toml", text='extends = "b.toml"\n'), read)
    assert message.startswith(
        "c.toml:2: extends: recipes extend each other in a circle: b.toml extends c.toml extends b"
    )
    assert message.endswith("extended by b.toml:1\n  extended by a.toml:1")


def test_the_same_recipe_twice_is_no_circle(write: Write, read: Load) -> None:
    write("low.toml")
    write("left.toml", text='extends = "low.toml"\nseed = 7\n')
    write("right.toml", text='extends = "low.toml"\n')
    assert read(write("top.toml", text='extends = ["right.toml", "left.toml"]\n')).seed == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends = 3\n", "top.toml:1: extends: should be a file name or a list of file names, not 3"),
        ('extends = ["low.toml", ""]\n', "top.toml:1: extends: should be a file name or a list of file names, not ''"),
        (
            '\nextends = "nothing.toml"\n',
            "nothing.toml: cannot be read: No such file or directory\n  extended by top.toml:2",
        ),
        ('extends = "bad.toml"\n', "bad.toml:1:3: not valid TOML: expected '=' after a key in a key/value pair"),
        ('extends = "."\n', ".: is not a file"),
    ],
)
def test_what_cannot_be_extended(write: Write, read: Load, text: str, expected: str) -> None:
    write("low.toml")
    write("bad.toml", text="a b\n")
    assert fails(write("top.toml", text=text), read).startswith(expected)


def test_bundled_recipes_are_extended_by_name(write: Write) -> None:
    from mmx.recipe.load import read

    document = read(write("top.toml", text='extends = "quickstart"\n[data]\nbatch = 16\n'))
    assert document.values["data"]["batch"] == 16
    assert document.origins["image_encoder", "name"].label == "mmx_recipes/quickstart.toml"


@pytest.mark.parametrize(
    "value", ["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[[1979-05-27]]", "{ a = 07:32:00 }"]
)
def test_dates_are_refused(write: Write, read: Load, value: str) -> None:
    message = fails(write("r.toml", ("width = 32", f"width = {value}")), read)
    assert message.startswith("r.toml:6: image_encoder.width") and "is a date" in message


def test_false_leaves_out_an_inherited_table(write: Write, read: Load) -> None:
    write("low.toml")
    write("mid.toml", text='extends = "low.toml"\n[losses.two]\nname = "contrast"\n[teachers.slow]\ndecay = 0.9\n')
    assert set(read("mid.toml").losses) > {"two"}
    recipe = read(write("top.toml", text='extends = "mid.toml"\n[losses]\ntwo = false\n[teachers]\nslow = false\n'))
    assert recipe.losses and "two" not in recipe.losses and not recipe.teachers
    assert not any(key.startswith(("losses.two", "teachers.slow")) for key in recipe.sources)


def test_false_where_nothing_is_inherited_is_an_error(write: Write, read: Load) -> None:
    write("low.toml")
    assert "losses.two: should be a table" in fails(
        write("top.toml", text='extends = "low.toml"\n[losses]\ntwo = false\n'), read
    )
