"""Recipes that do not hold: every problem at once, each with its place, its key and a suggestion."""

from collections.abc import Mapping, Sequence
from typing import final

import pytest
from typing_extensions import override

import throwaway
from mmx.errors import PluginError, RecipeError
from mmx.plugin.registry import Nowhere, Registries
from mmx.recipe import load
from mmx.recipe.load import examine
from mmx.recipe.load import read as read_document
from throwaway import Load, Write

ASK = "; is its plugin installed (mmx plugins), or one file (--plugin FILE)?"


def problems(path: object, read: Load, *sets: str, unset: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of the error: what is wrong, without the headline."""
    with pytest.raises(RecipeError) as caught:
        read(path, *sets, unset=unset)
    lines = str(caught.value).splitlines()
    return lines[1:] if lines[0].endswith("problems") else lines


TEN_MISTAKES = [
    ("seed = 3", "sed = 3"),
    ('name = "vit"', 'name = "vitt"'),
    ('[text_encoder]\nname = "words"', '[text_encoder]\nname = "words"\nlayer = 3'),
    ("size = 16", 'size = "16"'),
    ("batch = 8", "batch = 0\nworkers = true"),
    ('[data.train]\nname = "folder"\npath = "pictures"', '[data.train]\nname = "folder"'),
    ("steps = 10", 'steps = 1e3\nmicro_batches = "two"'),
    ('path = "others"', "path = 3"),
]


def test_ten_mistakes_at_once(write: Write, read: Load) -> None:
    assert problems(write("r.toml", *TEN_MISTAKES), read) == [
        "r.toml:2: sed: unknown key; did you mean 'seed'?",
        "r.toml:5: image_encoder.name: no image_encoder 'vitt'; did you mean 'vit'? (known: conv, vit)",
        "r.toml:10: text_encoder.layer: unknown key; did you mean 'layers'?",
        'r.toml:19: preprocess.size: should be a whole number, not "16"',
        "r.toml:25: data.batch: should be greater than 0, not 0",
        "r.toml:26: data.workers: should be a whole number, not true",
        "r.toml:28: data.train.path: is missing: the folder to read",
        "r.toml:38: train.steps: should be a whole number, not 1000.0",
        'r.toml:39: train.micro_batches: should be a whole number, not "two"',
        "r.toml:47: evaluators.zero.data.path: should be a text in quotes, not 3",
        "help: mmx recipe schema image_encoder text_encoder.words preprocess data",
    ]


def test_the_headline_counts(write: Write, read: Load) -> None:
    with pytest.raises(RecipeError, match=r"^r\.toml: 10 problems\n"):
        read(write("r.toml", *TEN_MISTAKES))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed = 3", "seed = -1", "r.toml:2: seed: should be at least 0, not -1"),
        (
            "size = 16",
            'size = 16\nresize = "crp"',
            'r.toml:19: preprocess.resize: should be "squash", "crop" or "pad", not "crp"; did you mean \'crop\'?',
        ),
        ("width = 32", "width = 30", "r.toml:4: image_encoder: width 30 is not divisible by heads = 4"),
        ("width = 32", "width = nan", "r.toml:6: image_encoder.width: should be a whole number, not NaN"),
        ("width = 32", 'pool = "men"', "did you mean 'mean'?"),
        ("width = 32", 'train = "last:0"', 'r.toml:6: image_encoder.train: is not allowed to be "last:0": what is'),
        ('name = "words"', "", "r.toml:8: text_encoder.name: is missing: it names the text_encoder (known: words)"),
        ('name = "words"', "name = 3", "r.toml:9: text_encoder.name: should be a text in quotes, not 3"),
        ("[losses.main]", '["losses"."a.b"]', 'r.toml:20: losses."a.b": a name is up to 64 letters'),
        ('[losses.main]\nname = "contrast"\n', "[losses]\n", "r.toml:20: losses: should have at least 1 item"),
        ("[data.images.clean]", "[data.images]\nclean = 3\n[data.texts.x]", "data.images.clean: should be a table"),
        (
            "[train]\n",
            "[train]\nmicro_batches = 3\n",
            "r.toml:37: train.micro_batches: should divide data.batch = 8, as",
        ),
        ("[train]\nsteps = 10", "[train]", "r.toml:36: train: give its length"),
        ("steps = 10", "steps = 10\nepochs = 1", "r.toml:38: train.epochs: give either steps or epochs, not both"),
        (
            "batch = 8",
            'batch = 8\nsources.a = {name = "folder", path = "p"}',
            "data.train: give either train or sources",
        ),
        ("batch = 8", "batch = 8\nmix = {}", "data.mix: give one of weights (shares of what is read) and repeat"),
        (
            "batch = 8",
            "batch = 8\nmix = {repeat = {a = 2}}",
            "data.mix.repeat.a: there is no [data.sources.a] (sources: none)",
        ),
        ("batch = 8", "batch = 8\nmix = {weights = {a = 0}}", "data.mix.weights.a: should be greater than 0"),
        (
            "[train]",
            "[optim.schedule]\nwarmup = 11\n[train]",
            "r.toml:37: optim.schedule.warmup: should be at most the run's 10 steps, not 11; or a share of them, such as 0.1",
        ),
        ("[train]", "[optim]\nbetas = [0.9]\n[train]", "r.toml:37: optim.betas: should have more items"),
        ("[train]", "[optim]\nbetas = [0.9, 1]\n[train]", "r.toml:37: optim.betas[1]: should be less than 1, not 1"),
        ("[train]", '[parallel]\nname = "local"\n[train]', "r.toml:37: parallel.name: unknown key"),
        (
            "[train]",
            '[parallel]\nengine = "locl"\n[train]',
            "r.toml:37: parallel.engine: no engine 'locl'; did you mean",
        ),
        (
            "[train]",
            "[trackers.wand]\n[train]",
            f"r.toml:36: trackers.wand: no tracker 'wand' (known: journal){ASK}",
        ),
        ("[train]", "[teachers.slow]\ndecay = 1.0\n[train]", "r.toml:37: teachers.slow.decay: should be less than 1"),
        ('path = "pictures"', 'path = "p"\nlimit = "al"', 'should be a whole number or "all", not "al"'),
        (
            'path = "pictures"',
            'path = "p"\nsources = [{ path = "a" },\n { pth = "b" }]',
            "data.train.sources[1].pth: unk",
        ),
        (
            'name = "caption"',
            'name = "caption"\nof = "cleen"',
            "r.toml:35: data.texts.clean.of: there is no view 'cleen'",
        ),
        ('name = "caption"', 'name = "caption"\nof = "clean"', "the view is made from itself: clean of clean"),
    ],
)
def test_each_kind_of_mistake(write: Write, read: Load, old: str, new: str, expected: str) -> None:
    assert any(expected in line for line in problems(write("r.toml", (old, new)), read)), problems("r.toml", read)


def test_a_best_checkpoint_needs_an_evaluator(write: Write, read: Load) -> None:
    text = throwaway.RECIPE.partition("[evaluators")[0] + "[checkpoint]\nkeep_best = true\n"
    assert problems(write(text=text), read)[0].startswith("r.toml:40: checkpoint.keep_best: needs an evaluator")


def test_circles_of_views_of_any_length(write: Write, read: Load) -> None:
    views = "".join(f'[data.images.{a}]\nname = "augment"\nof = "{b}"\n' for a, b in ("ab", "bc", "ca", "da"))
    found = problems(write("r.toml", ("[data.images.clean]", views + "[data.images.clean]")), read)
    assert [line.partition(": ")[2] for line in found[:-1]] == [
        "data.images.a.of: the view is made from itself: a of b of c of a",
        "data.images.b.of: the view is made from itself: b of c of a of b",
        "data.images.c.of: the view is made from itself: c of a of b of c",
    ]


def test_mistakes_on_the_command_line_are_named_by_their_option(write: Write, read: Load) -> None:
    found = problems(write("r.toml", ("seed = 3", "seed = -3")), read, "optim.lrr=1", "train.steps=0")
    assert found == [
        "r.toml:2: seed: should be at least 0, not -3",
        "--set optim.lrr: unknown key; did you mean 'lr'?",
        "--set train.steps: should be greater than 0, not 0",
        "help: mmx recipe schema optimizer.adamw train",
    ]


def test_an_empty_recipe_names_all_it_needs(write: Write, read: Load) -> None:
    found = problems(write(text=""), read)
    keys = [line.split(": ")[1] for line in found[:-1]]
    assert keys == ["image_encoder", "text_encoder", "fusion", "tokenizer", "preprocess", "losses", "data", "train"]


def test_problems_for_programs(write: Write, registries: Registries) -> None:
    found = examine(read_document(write("r.toml", *TEN_MISTAKES)), registries)
    assert isinstance(found, list) and len(found) == 10
    assert {(item.file, item.line, item.key) for item in found} >= {("r.toml", 2, "sed"), ("r.toml", 25, "data.batch")}


def test_values_cannot_steer_the_terminal(write: Write, read: Load) -> None:
    found = problems(write("r.toml", ("[train]", '[train]\nmicro_batches = "\\u001b[31m"\n"\\u001bk" = 1')), read)
    assert not any("\x1b" in line for line in found)
    assert any("\\U0000001b[31m" in line or "\\u001b[31m" in line for line in found)


def test_long_values_are_shortened(write: Write, read: Load) -> None:
    assert max(map(len, problems(write("r.toml", ("seed = 3", f'seed = "{"x" * 5000}"')), read))) < 200


def test_names_with_braces_are_shown_as_they_are(write: Write, read: Load) -> None:
    found = problems(write("r.toml", ('name = "words"', 'name = "{kind}"')), read)
    assert found[0] == "r.toml:9: text_encoder.name: no text_encoder '{kind}' (known: words)" + ASK


def test_two_owners_of_a_part_are_both_named(write: Write, registries: Registries) -> None:
    other = registries.owned_by("other 2.0 (x)")
    other("text_encoder", "words", config=throwaway.Words, part="a:B", summary="again")
    with pytest.raises(PluginError) as caught:
        load(write(), (), (), registries)
    assert str(caught.value) == (
        "r.toml:9: text_encoder.name: two plugins register the text_encoder 'words': "
        "other 2.0 (x) and throwaway 1.0 (throwaway); uninstall or leave out one of them\nhelp: mmx plugins"
    )


@final
class Broken(Nowhere):
    """One plugin, which cannot be imported."""

    @override
    def listed(self, kind: str) -> Mapping[str, Sequence[str]]:
        return {"bert": ["toy 1.0 (toy)"]} if kind == "text_encoder" else {}

    @override
    def summon(self, owner: str) -> str:
        return "ModuleNotFoundError: No module named 'flax'" if owner == "toy 1.0 (toy)" else ""


@pytest.fixture
def with_broken() -> Registries:
    made = Registries(Broken())
    throwaway.mmx_register(made.owned_by("throwaway"))
    return made


def test_a_part_of_a_broken_plugin(write: Write, with_broken: Registries) -> None:
    with pytest.raises(PluginError, match=r"'bert' is of toy 1\.0 \(toy\), which cannot be used: ModuleNotFound"):
        load(write("r.toml", ('name = "words"', 'name = "bert"')), (), (), with_broken)


def test_a_broken_plugin_does_not_excuse_other_mistakes(write: Write, with_broken: Registries) -> None:
    with pytest.raises(RecipeError, match=r"(?s)2 problems.*toy 1\.0"):
        load(write("r.toml", ('name = "words"', 'name = "bert"'), ("seed = 3", "seed = -1")), (), (), with_broken)
