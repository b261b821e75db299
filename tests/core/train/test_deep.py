"""``recipe check --deep`` finds what only torch and the data can tell, before a run does."""

import pytest
import torch

from mmx.errors import DataError, MmxError, PluginError, RecipeError
from mmx.recipe.load import failure, load, read
from mmx.train.deep import deep_check
from mmx.train.examples import Examples
from mmx_toy.start import RECIPE, plugins


def check(*overrides: str, unset: tuple[str, ...] = ()) -> list[str]:
    said: list[str] = []
    registries = plugins().registries
    document = read(RECIPE, overrides, unset)
    problems = deep_check(load(RECIPE, overrides, unset, registries), document, registries, said.append)
    if problems:
        raise failure(problems, document.label)
    return said


def test_a_good_recipe_is_described() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    said = check("evaluators.match.name='toy'", "evaluators.match.data.name='toy'", "data.train.bad=[2]")
    assert said[0].startswith("model: ") and said[1:3] == [
        "data.train: 44 samples; read 7 of 8",
        "44 samples an epoch, 18 steps of 6",
    ]
    assert said[3] == "evaluators.match: 44 samples"
    assert torch.equal(torch.get_rng_state(), before)


def test_an_average_of_the_weights_does_not_count_twice() -> None:
    assert check()[0] == check("train.ema=0.0")[0]
    total, trained = check()[0].removeprefix("model: ").split(" parameters, ")
    assert trained == f"{total} of them trained"


@pytest.mark.parametrize(
    ("overrides", "kind", "found"),
    [
        (["fusion.expects=9"], RecipeError, "fusion 'toy': it wants images of width 9, and gets 8"),
        (["fusion.wrong=true"], RecipeError, "a forward pass over the first samples fails: RuntimeError"),
        (
            ["losses.match.image='second'"],
            RecipeError,
            r"--set losses.match.image: the loss reads the view 'second', .*\[data.images.second\]",
        ),
        (
            ["losses.match.text='second'"],
            RecipeError,
            r"--set losses.match.text: the loss reads the view 'second', .*\[data.texts.second\]",
        ),
        (
            ["data.train.bad=[0, 1, 2, 3, 4, 5, 6, 7]"],
            DataError,
            "none of the first 8 samples can be used; toy-0000: is bad",
        ),
        (["data.train.samples=0"], DataError, "has no samples"),
        (["data.train.samples=5"], DataError, "data.batch = 6 is more than the 5"),
        (["data.train.lost=true"], DataError, "the toy dataset is gone"),
        (["data.train.wrong=[1]"], PluginError, "fails on the sample toy-0001: KeyError"),
        (["image_encoder.train='last:4'"], RecipeError, 'image_encoder.train = "last:4", but the tower has 3 blocks'),
        (
            ["image_encoder.batch_norm=true", "train.micro_batches=2"],
            RecipeError,
            r"train.micro_batches = 2: model.image_encoder.middle.norm is a BatchNorm",
        ),
        (
            [
                "evaluators.match.name='toy'",
                "evaluators.match.data.name='toy'",
                "evaluators.match.data.bad=[0, 1, 2, 3, 4, 5, 6, 7]",
            ],
            DataError,
            "evaluators.match: none of the first samples can be read: toy-0000: is bad on purpose",
        ),
    ],
)
def test_what_does_not_fit_is_found(overrides: list[str], kind: type[MmxError], found: str) -> None:
    with pytest.raises(kind, match=found):
        check(*overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["image_encoder.batch_norm=true"],
        ["image_encoder.batch_norm=true", "image_encoder.train='frozen'", "train.micro_batches=2"],
        ["image_encoder.batch_norm=true", "image_encoder.train='last:1'", "train.micro_batches=3"],
    ],
)
def test_batch_norm_is_allowed_where_it_is_exact(overrides: list[str]) -> None:
    assert len(check(*overrides)) == 3


def problems(*overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        check(*overrides)
    return [line.rpartition("toy.toml")[2] or line for line in str(caught.value).splitlines()[1:-1]]


def test_what_is_independent_is_found_together() -> None:
    found = problems(
        "image_encoder.train='last:4'",
        "losses.match.image='second'",
        "data.train.samples=5",
        "evaluators.match.name='toy'",
        "evaluators.match.data.name='toy'",
        "evaluators.match.data.lost=true",
    )
    assert len(found) == 4
    for start in (
        '--set image_encoder.train = "last:4", but the tower has 3 blocks',
        "--set losses.match.image: the loss reads the view 'second', but there is no [data.images.second] (there: clean)",
        "data.batch = 6 is more than the 5",
        "--set evaluators.match: the toy dataset is gone",
    ):
        assert any(start in line for line in found), (start, found)


def test_without_data_the_losses_run_on_made_up_samples() -> None:
    said = check(unset=("data.train",))
    assert said[1:] == ["data.train: not given; the losses are computed on 8 made-up samples"]
    with pytest.raises(RecipeError, match="a forward pass over the first samples fails: RuntimeError"):
        check("fusion.wrong=true", unset=("data.train",))


def test_facts_are_made_up_too() -> None:
    assert Examples(3, ["group"]).read(2).facts == {"group": 2}
