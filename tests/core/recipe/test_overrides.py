"""``--set`` and ``--unset``."""

from pathlib import Path

import pytest

import throwaway
from mmx.errors import RecipeError
from mmx.recipe.overrides import read_key, read_value
from throwaway import Load, Write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ('"a b"', "a b"),
        ("'a b'", "a b"),
        ("[1, 2]", [1, 2]),
        ("{ a = 1, b.c = 2 }", {"a": 1, "b": {"c": 2}}),
        ("last:3", "last:3"),
        ("pictures/a b.tar", "pictures/a b.tar"),
        ("squash", "squash"),
        ("True", "True"),
        ("01", "01"),
    ],
)
def test_values(text: str, value: object) -> None:
    assert read_value(text, "--set x") == value


@pytest.mark.parametrize("text", ["[1, 2", '"a', "{ a = }", "1\nb = 2", "a\nb", '"""', "'"])
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^--set x: "):
        read_value(text, "--set x")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b-c.d_1", ("a", "b-c", "d_1")),
        ("a[0].b", ("a", 0, "b")),
        ("a[0][12]", ("a", 0, 12)),
        ('a."b.c"', ("a", "b.c")),
    ],
)
def test_keys(text: str, path: tuple[str | int, ...]) -> None:
    assert read_key(text, "--set") == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a b", "a[", "a[x]", "a[-1]", "[0]", "a[0]b", "ä", "a." * 40_000]
)
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(RecipeError, match="is not a key"):
        read_key(text, "--set")


def test_set_over_a_file(write: Write, read: Load) -> None:
    recipe = read(write(), "image_encoder.train=last:3", "optim.betas=[0.8, 0.9]", "seed=1", "seed=2")
    assert recipe.image_encoder.train == "last:3"
    assert recipe.optim.betas == (0.8, 0.9)  # pyright: ignore[reportAttributeAccessIssue]
    assert recipe.seed == 2


def test_set_inside_lists(write: Write, read: Load) -> None:
    path = write("r.toml", ('path = "pictures"', 'path = "p"\nsources = [{ path = "a" }, { path = "b" }]'))
    recipe = read(path, "data.train.sources[1].weight=2")
    assert recipe.resolved()["data"]["train"]["sources"] == [{"path": "a", "weight": 1.0}, {"path": "b", "weight": 2.0}]


def test_a_new_part_replaces_its_table_whatever_the_order(write: Write, read: Load) -> None:
    recipe = read(
        write("r.toml", ("width = 32", "train = 'frozen'")), "image_encoder.train=last:1", "image_encoder.name=conv"
    )
    assert recipe.image_encoder == throwaway.EncoderConfig(name="conv", train="last:1")


def test_new_tables(write: Write, read: Load) -> None:
    recipe = read(
        write(), "teachers.slow.decay=0.99", "parallel.engine=remote", "parallel.hosts=4", "trackers.journal={}"
    )
    assert recipe.teachers["slow"].decay == 0.99
    assert recipe.parallel == throwaway.Remote(name="remote", hosts=4)
    assert list(recipe.trackers) == ["journal"]


def test_steps_and_epochs_replace_each_other(write: Write, read: Load) -> None:
    recipe = read(write(), "train.epochs=2")
    assert (recipe.train.steps, recipe.train.epochs) == (None, 2.0)
    with pytest.raises(RecipeError, match="give either steps or epochs, not both"):
        read(write(), "train.epochs=2", "train.steps=3")


def test_unset(write: Write, read: Load) -> None:
    path = write()
    assert read(path, unset=("image_encoder.width",)).image_encoder == throwaway.Vit(name="vit")
    recipe = read(path, 'evaluators.other={name="zero"}', unset=("evaluators",))
    assert list(recipe.evaluators) == ["other"]


def test_unset_comes_before_set(write: Write, read: Load) -> None:
    recipe = read(write(), "image_encoder.name=vit", unset=("image_encoder",))
    assert recipe.image_encoder == throwaway.Vit(name="vit")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("optim.lr", "--set optim.lr: should be KEY=VALUE, such as --set optim.lr=5e-4"),
        ("optim.lr=", "--set optim.lr=: a value is missing; --unset optim.lr takes the key out"),
        ("=3", "--set =3: '' is not a key; write it like"),
        ("seed.x=3", "--set seed.x: seed is the value 3, not a table"),
        ("seed.x.y=3", "--set seed.x.y: seed.x does not exist: the value 3"),
        (
            "data.train.sources[0].path=x",
            "--set data.train.sources[0].path: data.train.sources[0] does not exist: a table",
        ),
        ("data.train[0]=x", "--set data.train[0]: data.train is a table, not a list"),
        ("optim.betas=[0.9, 0.99", "--set optim.betas: '[0.9, 0.99' is not a TOML value, such as"),
        ("seed=1979-05-27", "--set: seed: is a date"),
        ("a" * 100_000, "--set aaaa"),
    ],
)
def test_options_that_are_malformed(write: Write, read: Load, option: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(write(), option)
    assert str(caught.value).startswith(expected)
    assert len(str(caught.value)) < 300


def test_an_index_past_the_end(write: Write, read: Load) -> None:
    path = write("r.toml", ("[train]", "[optim]\nbetas = [0.8, 0.9]\n[train]"))
    assert read(path, "optim.betas[1]=0.95").optim.betas == (0.8, 0.95)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(RecipeError, match=r"--set optim.betas\[2\]: the list has 2 items, the first is \[0\]"):
        read(path, "optim.betas[2]=0.95")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            "image_encoder.widht",
            "--unset image_encoder.widht: the recipe does not set this key; did you mean 'image_encoder.w",
        ),
        ("optim.lr", "--unset optim.lr: the recipe does not set this key"),
        ("a b", "--unset a b: 'a b' is not a key"),
    ],
)
def test_keys_that_cannot_be_unset(write: Write, read: Load, key: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(write(), unset=(key,))
    assert str(caught.value).startswith(expected)


def test_the_file_stays_as_it_is(write: Write, read: Load) -> None:
    path = write()
    read(path, "seed=9", unset=("evaluators",))
    assert Path(path).read_text() == throwaway.RECIPE
