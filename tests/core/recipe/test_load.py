"""Reading recipes that hold: values, defaults, where they came from, and the way back to a file."""

from pathlib import Path

import pytest

import throwaway
from mmx.config import PartConfig
from mmx.recipe.write import to_toml
from throwaway import Load, Write


def test_values_are_checked_by_the_class_of_their_part(write: Write, read: Load) -> None:
    recipe = read(write())
    assert recipe.image_encoder == throwaway.Vit(name="vit", width=32)
    assert recipe.evaluators["zero"] == throwaway.Zero(
        name="zero", every=5, data=throwaway.Folder(name="folder", path=Path("others"))
    )


def test_defaults(write: Write, read: Load) -> None:
    recipe = read(write("my first.toml"))
    assert recipe.name == "my-first"
    assert recipe.preprocess.mean == (0.48145466, 0.4578275, 0.40821073)
    assert recipe.optim.betas == (0.9, 0.98)  # pyright: ignore[reportAttributeAccessIssue]
    assert recipe.parallel.name == "local"
    assert recipe.checkpoint.keep_best
    assert recipe.trackers == {}


def test_without_evaluators_there_is_no_best(write: Write, read: Load) -> None:
    recipe = read(write(text=throwaway.RECIPE.partition("[evaluators")[0]))
    assert not recipe.checkpoint.keep_best
    assert recipe.sources["checkpoint.keep_best"] == "default"


def test_the_engine_is_named_by_its_own_key(write: Write, read: Load) -> None:
    recipe = read(write("r.toml", ("[train]", '[parallel]\nengine = "remote"\nhosts = 2\n\n[train]')))
    assert recipe.parallel == throwaway.Remote(name="remote", hosts=2)
    assert recipe.resolved()["parallel"] == {"engine": "remote", "hosts": 2}


def test_a_tracker_is_named_by_its_table(write: Write, read: Load) -> None:
    recipe = read(write("r.toml", ("[train]", '[trackers.journal]\n\n[trackers.two]\nname = "journal"\n\n[train]')))
    assert [tracker.name for tracker in recipe.trackers.values()] == ["journal", "journal"]


def test_sources(write: Write, read: Load) -> None:
    sources = read(write(), "optim.lr=5e-4").sources
    assert sources["seed"] == "r.toml:2"
    assert sources["image_encoder.width"] == "r.toml:6"
    assert sources["evaluators.zero.data.path"] == "r.toml:45"
    assert sources["optim.lr"] == "--set"
    assert sources["image_encoder.heads"] == "default"
    assert sources["name"] == "default"


def test_sources_of_lists_of_tables(write: Write, read: Load) -> None:
    text = 'path = "pictures"\n[[data.train.sources]]\npath = "a"\n[[data.train.sources]]\npath = "b"\nweight = 2.0\n'
    sources = read(write("r.toml", ('path = "pictures"\n', text)), "data.train.sources[0].weight=3").sources
    assert sources["data.train.sources[0].path"] == "r.toml:30"
    assert sources["data.train.sources[0].weight"] == "--set"
    assert sources["data.train.sources[1].weight"] == "r.toml:33"


@pytest.mark.parametrize("sources", [False, True])
def test_a_resolved_recipe_loads_back(write: Write, read: Load, sources: bool) -> None:
    changes = [
        ("steps = 10", "epochs = 2.5\nema = 0.99"),
        ('path = "pictures"', 'path = "pic\\"tu\\u0000res\\n"\nsources = [{ path = "ä", weight = 1e-7 }]\nlimit = 3'),
        ("[train]", '[parallel]\nengine = "remote"\n[teachers.slow]\ndecay = 0.995\n[trackers.journal]\n[train]'),
        ("every = 5", "every = 5\ntemplates = [" + ", ".join(f'"a {{}} number {i}"' for i in range(20)) + "]"),
    ]
    recipe = read(write("r.toml", *changes))
    back = read(write("resolved.toml", text=to_toml(recipe, sources=sources)))
    assert back == recipe
    assert back.resolved() == recipe.resolved()


def test_recipes_with_other_values_differ(write: Write, read: Load) -> None:
    path = write()
    assert read(path) == read(path)
    assert read(path) != read(path, "seed=4")


def test_shown_values_say_where_they_came_from(write: Write, read: Load) -> None:
    shown = to_toml(read(write(), "optim.lr=5e-4"), sources=True).splitlines()
    assert "width = 32  # r.toml:6" in shown
    assert "lr = 0.0005  # --set" in shown
    assert "heads = 4" in shown


def test_nested_parts(write: Write, read: Load) -> None:
    data = (
        '[data.train]\nname = "mixed"\nfirst = { name = "folder", path = "a" }\n[data.train.second]\nname = "folder"\n'
    )
    recipe = read(write("r.toml", ('[data.train]\nname = "folder"\n', data)))
    assert recipe.data.train == throwaway.Mixed(
        name="mixed",
        first=throwaway.Folder(name="folder", path=Path("a")),
        second=throwaway.Folder(name="folder", path=Path("pictures")),
    )


def test_from_overrides_alone(read: Load) -> None:
    sets = [line.partition(" #")[0].replace(" = ", "=") for line in _flat(throwaway.RECIPE)]
    assert read(None, *sets).image_encoder == throwaway.Vit(name="vit", width=32)


def test_a_part_made_in_python_needs_no_registries() -> None:
    config: PartConfig = throwaway.Folder(name="folder", path=Path("a"))
    assert throwaway.Mixed(name="mixed", first=config).first is config


def _flat(text: str) -> list[str]:
    table, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif "=" in line:
            lines.append(table + line)
    return lines
