"""A run that is saved under one layout goes on under any other, as if it had never changed."""

from pathlib import Path

import pytest
from resumed import in_pool, run
from safetensors.torch import load_file

from mmx.runs.ledger import Entry, read
from mmx_kit.ranks import Ranks

DP, TP, PP, ZERO = (), ("parallel.tensor=2",), ("parallel.pipeline=2",), ("parallel.zero=1",)
HALF = ('parallel.precision="bf16"',)
STEPS = 8


def entries(out: Path) -> list[Entry]:
    return read(out / "run" / "ledger.jsonl")


def last(out: Path) -> Path:
    return out / "run" / "checkpoints" / (out / "run" / "last").read_text().strip()


DROPOUT = "image_encoder.patch_dropout=0.5"
CHAINS = {
    "dp2, tp2, pp2, one": ((), [(2, DP), (2, TP), (2, PP), (1, ())]),
    "tp2, pp2, one, tp2, with dropout": ((DROPOUT,), [(2, TP), (2, PP), (1, ()), (2, TP)]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_run_goes_on_under_every_layout_as_if_it_had_never_changed(name: str, two: Ranks, tmp_path: Path) -> None:
    options, legs = CHAINS[name]
    pieces = ("train.micro_batches=2",)  # a pipeline needs them, and they decide the order of dropout
    one = tmp_path / "one"
    run(one, 0, 1, STEPS, *options, *pieces)
    changing, answer = tmp_path / "changing", {}
    for leg, (count, layout) in enumerate(legs):
        first = (*options, *pieces) if leg == 0 else ()
        whole = () if leg == 0 or count == 1 else ("parallel.tensor=1", "parallel.pipeline=1")
        steps, given = 2 * (leg + 1), (*first, *whole, *layout)
        answer = run(changing, 0, 1, steps, *given) if count == 1 else two(in_pool, changing, 2, steps, *given)[0]
    assert (answer["status"], answer["step"]) == ("finished", STEPS)
    for mine, theirs in zip(entries(changing), entries(one), strict=True):
        assert (mine.step, mine.digest) == (theirs.step, theirs.digest)
        assert mine.loss == pytest.approx(theirs.loss, rel=2e-6)
    same_files(last(changing), last(one))
    same_files(changing / "run" / "model", one / "run" / "model")


def same_files(found: Path, wanted: Path) -> None:
    names = {path.name for path in wanted.glob("*.safetensors")}
    assert {path.name for path in found.glob("*.safetensors")} == names and names
    for name in names - {"rng.safetensors"}:
        mine, theirs = load_file(found / name), load_file(wanted / name)
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            assert (mine[key].dtype, mine[key].shape) == (value.dtype, value.shape), key
            assert float((mine[key].double() - value.double()).abs().max()) < 2e-5, key


@pytest.mark.parametrize(
    "options", [DP, HALF, ZERO, ("parallel.zero=2",), TP], ids=["dp2", "bf16", "zero1", "zero2", "tp2"]
)
def test_under_the_same_layout_it_goes_on_bit_for_bit(options: tuple[str, ...], two: Ranks, tmp_path: Path) -> None:
    two(in_pool, tmp_path / "whole", 2, 4, DROPOUT, *options)
    two(in_pool, tmp_path / "cut", 2, 2, DROPOUT, *options)
    two(in_pool, tmp_path / "cut", 2, 4, *options)
    assert entries(tmp_path / "cut") == entries(tmp_path / "whole")
    for name in ("model", "objective", "optimizer", "rng"):
        mine, theirs = (load_file(last(tmp_path / which) / f"{name}.safetensors") for which in ("cut", "whole"))
        assert mine.keys() == theirs.keys()
        assert all(mine[key].equal(value) for key, value in theirs.items()), name


@pytest.mark.parametrize("name", ["sgd", "lion"])
def test_every_optimizer_goes_on_bit_for_bit_with_its_state_shared_out(name: str, two: Ranks, tmp_path: Path) -> None:
    options = (
        f"optim.name={name}",
        "optim.groups.image.match='image_encoder.*'",
        "optim.groups.image.layer_decay=0.5",
        *ZERO,
    )
    two(in_pool, tmp_path / "whole", 2, 4, *options)
    two(in_pool, tmp_path / "cut", 2, 2, *options)
    two(in_pool, tmp_path / "cut", 2, 4, "parallel.zero=2")  # which state is the same in another layout
    two(in_pool, tmp_path / "again", 2, 2, *options)
    two(in_pool, tmp_path / "again", 2, 4, *ZERO)
    assert entries(tmp_path / "again") == entries(tmp_path / "whole")
    for one, other in zip(entries(tmp_path / "cut"), entries(tmp_path / "whole"), strict=True):
        assert (one.digest, one.loss) == (other.digest, pytest.approx(other.loss, rel=0.02))


def test_groups_have_their_rates_with_state_shared_out(two: Ranks, tmp_path: Path) -> None:
    """The temperature has a group of its own, and stays beside ZeRO."""
    groups = {"image": ("image_encoder.layers.0.*", 1e-4), "scale": ("fusion.*scale*", 0.5)}
    options = [f"optim.groups.{name}.match='{match}'" for name, (match, _) in groups.items()]
    options += [f"optim.groups.{name}.lr={lr}" for name, (_, lr) in groups.items()]
    two(in_pool, tmp_path / "plain", 2, 2, *options, *HALF)
    two(in_pool, tmp_path / "shared", 2, 2, *options, *HALF, *ZERO)
    mine, theirs = (load_file(last(tmp_path / which) / "model.safetensors") for which in ("shared", "plain"))
    gaps = {key: float((mine[key] - value).abs().max()) for key, value in theirs.items()}
    assert max(gaps.values()) < 2e-4, max(gaps, key=lambda key: gaps[key])  # rates are 1e-3, 1e-4 and 0.5


def test_from_zero_to_one_process_and_back(two: Ranks, tmp_path: Path) -> None:
    """Half precision: the fp32 copies are what is saved, so nothing is rounded on the way."""
    two(in_pool, tmp_path, 2, 2, *ZERO)
    saved = load_file(last(tmp_path) / "model.safetensors")
    assert all(value.dtype.itemsize == 4 for value in saved.values())
    run(tmp_path, 0, 1, 3)
    two(in_pool, tmp_path, 2, 4, *ZERO)
    assert [entry.step for entry in entries(tmp_path)] == [1, 2, 3, 4]
    two(in_pool, tmp_path / "whole", 2, 4, *ZERO)
    for mine, theirs in zip(entries(tmp_path), entries(tmp_path / "whole"), strict=True):
        assert (mine.digest, mine.loss) == (theirs.digest, pytest.approx(theirs.loss, rel=0.02))


@pytest.mark.parametrize("options", [DP, TP, (*PP, "train.micro_batches=2")], ids=["dp2", "tp2", "pp2"])
def test_evaluation_gives_the_numbers_of_one_process(options: tuple[str, ...], two: Ranks, tmp_path: Path) -> None:
    """2,895 names and pictures do not divide by two, and the model has only begun: ranks are close to one another."""
    fast = ("optim.lr=0.02", "train.ema=0.5")
    one = run(tmp_path / "one", 0, 1, 6, *fast, evaluate=True)["evaluations"]["unseen_artist"]
    found = two(in_pool, tmp_path / "two", 2, 6, *fast, *options, evaluate=True)[0]["evaluations"]["unseen_artist"]
    assert found.keys() == one.keys()
    for name, number in one.items():
        assert found[name]["count"] == number["count"]
        assert found[name]["value"] == pytest.approx(number["value"], abs=1.5 / max(1, number["count"])), name
