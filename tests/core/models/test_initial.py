"""Weights that a recipe starts from: read before step 0, checked by name, and not needed again."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from mmx.checkpoint.read import read_checkpoint
from mmx.checkpoint.store import Store
from mmx.cli.main import app
from mmx.errors import CheckpointError
from mmx.learn.teacher import Teacher
from mmx.models.load import load_model
from mmx.runs.layout import RunFolder
from mmx_toy.start import RECIPE, crash, plugins, sit, start

CPU = torch.device("cpu")


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def rewritten(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Put other tensors into a model folder, which then describes them."""
    save_file(tensors, folder / "model.safetensors")
    facts = json.loads((folder / "model.json").read_text())
    facts["sha256"] = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(facts))


def initial(out: Path, *overrides: str) -> tuple[dict[str, Tensor], list[str], Any]:
    said: list[str] = []
    session, _ = sit(out, *overrides, say=said.append)
    return {k: v.clone() for k, v in session.experiment.objective.model.state_dict().items()}, said, session


def test_a_whole_model_is_where_training_starts_teachers_too(source: Path, tmp_path: Path) -> None:
    found, _, session = initial(tmp_path / "a", f"weights.from={source}", "seed=7")
    assert found.keys() == weights(source).keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights(source).items())
    teacher = session.experiment.objective.teachers["ema"]
    assert isinstance(teacher, Teacher)
    assert all(torch.equal(tensor, found[name]) for name, tensor in teacher.model.state_dict().items())


@pytest.mark.parametrize("tower", ["image_encoder", "text_encoder"])
def test_one_tower_comes_from_a_model_and_the_rest_from_the_seed(tower: str, source: Path, tmp_path: Path) -> None:
    found, _, _ = initial(tmp_path / "a", f"{tower}.weights.from={source}", "seed=7")
    drawn, _, _ = initial(tmp_path / "b", "seed=7")
    given = weights(source)
    for name, tensor in found.items():
        assert torch.equal(tensor, given[name] if name.startswith(f"{tower}.") else drawn[name]), name


def test_a_tower_s_own_model_goes_before_the_whole_one(source: Path, trained: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(trained / "model", tmp_path / "other"))
    changed = {k: v + 1 if k.startswith("text_encoder.") else v for k, v in weights(other).items()}
    rewritten(other, changed)
    found, _, session = initial(tmp_path / "a", f"weights.from={source}", f"text_encoder.weights.from={other}")
    for name, tensor in found.items():
        assert torch.equal(tensor, (changed if name.startswith("text_encoder.") else weights(source))[name]), name
    origins = session.experiment.origins
    assert [origin.table for origin in origins] == ["weights", "text_encoder.weights"]
    assert sum(origin.tensors for origin in origins) == len(found)


def test_a_run_lends_its_model_also_before_it_has_finished(tmp_path: Path, trained: Path) -> None:
    stopped = crash(tmp_path / "stopped", 7)
    found, said, session = initial(tmp_path / "a", f"weights.from={stopped}")
    stored = read_checkpoint(stopped / "checkpoints" / "step-00000005").tensors["objective"]
    assert torch.equal(found["fusion.image.weight"], stored["teachers.ema.model.fusion.image.weight"])
    assert any("using step-00000005" in text for text in said)
    (origin,) = session.experiment.origins
    assert list(origin.files) == ["checkpoints/step-00000005/objective.safetensors"]
    finished, _, _ = initial(tmp_path / "b", f"weights.from={trained}")
    assert torch.equal(finished["fusion.image.weight"], weights(trained / "model")["fusion.image.weight"])


def test_where_the_weights_came_from_is_written_down(source: Path, tmp_path: Path) -> None:
    said: list[str] = []
    start(tmp_path, "train.steps=3", f"weights.from={source}", say=said.append)
    (row,) = json.loads((tmp_path / "run" / "weights.json").read_text())
    digest = sha256((source / "model.safetensors").read_bytes()).hexdigest()
    assert row["files"] == {"model.safetensors": digest} and row["folder"] == str(source)
    assert (row["table"], row["model"], row["format"]) == ("weights", str(source), "mmx")
    assert any(text == f"weights: {row['tensors']} tensors from {source} (mmx)" for text in said)
    assert "weights" not in json.loads((tmp_path / "run" / "model" / "model.json").read_text())["image_encoder"]


def test_the_run_is_whole_by_itself_and_goes_on_bit_for_bit(source: Path, tmp_path: Path) -> None:
    """Stopped before its first checkpoint of its own, it needs the source no more; eval and load neither."""
    overrides = (f"weights.from={source}", f"image_encoder.weights.from={source}")
    start(tmp_path / "whole", *overrides, "train.steps=8")
    run = crash(tmp_path / "cut", 2, *overrides, "train.steps=8")
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000000"]
    shutil.rmtree(source)
    assert load_model(run, plugins(), CPU).embed_texts(["a red"]).shape == (1, 6)
    assert start(tmp_path / "cut", recipe=None, resume=str(run), name=None).exit_code == 0
    one, other = (weights(path / "run" / "model") for path in (tmp_path / "whole", tmp_path / "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert RunFolder(run).status().status == "finished"
    assert torch.equal(
        load_model(run, plugins(), CPU).embed_texts(["a red"]),
        load_model(tmp_path / "whole" / "run", plugins(), CPU).embed_texts(["a red"]),
    )


def test_a_run_without_weights_has_no_checkpoint_of_step_0(tmp_path: Path) -> None:
    run = crash(tmp_path, 2)
    assert not (run / "weights.json").exists() and Store(run, 2, False, "").latest(print) is None


def test_what_does_not_fit_is_named_with_both_shapes(source: Path, tmp_path: Path) -> None:
    tensors = weights(source)
    tensors["fusion.odd"] = torch.zeros(1)
    del tensors["fusion.log_scale"]
    rewritten(source, tensors)
    with pytest.raises(CheckpointError) as caught:
        sit(tmp_path, f"weights.from={source}", "image_encoder.width=9")
    text = str(caught.value)
    assert text.startswith(f"weights.from: the weights of {source} do not fit the recipe's model: ")
    assert "missing: fusion.log_scale;" in text and "not used: fusion.odd;" in text
    assert "is [8, 108] there and [9, 108] here" in text


def test_a_tower_uses_nothing_else_of_a_model(source: Path, tmp_path: Path) -> None:
    rewritten(source, {k: v for k, v in weights(source).items() if k.startswith("text_encoder.")})
    initial(tmp_path / "a", f"text_encoder.weights.from={source}")
    with pytest.raises(CheckpointError, match=r"^image_encoder.weights.from: .* missing: image_encoder"):
        sit(tmp_path / "b", f"image_encoder.weights.from={source}")


def test_half_precision_is_widened_and_whole_numbers_are_refused(source: Path, tmp_path: Path) -> None:
    exact = weights(source)
    rewritten(source, {k: v.half() for k, v in exact.items()})
    found, said, _ = initial(tmp_path / "a", f"weights.from={source}")
    assert found["fusion.image.weight"].dtype == torch.float32
    assert torch.equal(found["fusion.image.weight"], exact["fusion.image.weight"].half().float())
    assert any("are stored in float16; they are float32 from here on" in text for text in said)
    rewritten(source, {k: v.to(torch.int32) for k, v in exact.items()})
    with pytest.raises(CheckpointError, match=r"of another kind: .* is int32 there and float32 here"):
        sit(tmp_path / "b", f"weights.from={source}")


def test_options_that_differ_are_said(source: Path, tmp_path: Path) -> None:
    _, said, _ = initial(tmp_path / "a", f"weights.from={source}", "preprocess.resize='pad'")
    assert 'weights: made with preprocess.resize = "squash"; the recipe has "pad"' in said


def test_a_model_that_is_not_there_is_told_with_its_line_before_torch(tmp_path: Path) -> None:
    recipe = tmp_path / "my.toml"
    recipe.write_text(f'extends = "{RECIPE}"\n[weights]\nfrom = "nowhere/model"\n')
    with pytest.raises(CheckpointError, match=r"my.toml:3: weights.from: nowhere/model does not exist"):
        start(tmp_path / "out", recipe=recipe)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(
        app, ["recipe", "check", "quickstart", "--set", "text_encoder.weights.from=nowhere/model"]
    )
    assert done.exit_code == 2 and "--set text_encoder.weights.from: nowhere/model does not exist" in done.stderr


def test_a_dry_run_says_whether_the_weights_fit(source: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="do not fit"):
        start(tmp_path, f"weights.from={source}", "image_encoder.width=9", dry_run=True)
