"""``model/`` is the trained model by itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mmx.errors import CheckpointError, PluginError
from mmx.plugins import Plugins
from mmx.run.api import load_model, model_of_run
from mmx.run.bundle import load_bundle
from mmx.run.layout import RunFolder
from mmx.run.loaded import read_checkpoint
from mmx.run.look import subject_of
from mmx_toy.start import crash, plugins, sit

CPU = torch.device("cpu")


def pictures() -> list[Image.Image]:
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 255, (size, 7, 3), dtype=np.uint8)) for size in (5, 6, 30)]


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "model", tmp_path / "elsewhere"))


def test_it_gives_the_embeddings_of_the_trained_model(tmp_path: Path) -> None:
    session, _ = sit(tmp_path, "train.steps=5")
    session.run(None)
    subject = subject_of(session.built.objective, session.built.read)
    alone = load_model(Path(shutil.move(tmp_path / "run" / "model", tmp_path / "alone")), plugins(), CPU)
    assert torch.equal(
        alone.embed_texts(["a red", "blue"]), subject.model.embed_text(subject.tokenizer(["a red", "blue"]))
    )
    images = alone.embed_images([*pictures(), pictures()[0].convert("L")])
    assert images.shape == (4, 6) and torch.allclose(images.norm(dim=1), torch.ones(4))
    assert not torch.equal(images[0], images[3]) and not images.requires_grad


def test_it_holds_the_averaged_weights(whole: Path) -> None:
    stored = load_file(whole / "model" / "model.safetensors")
    tensors = read_checkpoint(whole / "checkpoints" / "step-00000018").tensors
    averaged = {k.removeprefix("teachers.ema.model."): v for k, v in tensors["objective"].items() if "ema.model" in k}
    assert stored.keys() == averaged.keys() and all(torch.equal(stored[name], averaged[name]) for name in stored)
    assert not torch.equal(stored["fusion.image.weight"], tensors["model"]["fusion.image.weight"])


def test_a_run_s_folder_and_its_model_s_load_alike(whole: Path) -> None:
    one, two = (load_model(path, plugins(), CPU).embed_texts(["a red"]) for path in (whole, whole / "model"))
    assert torch.equal(one, two)


def test_an_unfinished_run_lends_the_model_of_its_newest_checkpoint(tmp_path: Path) -> None:
    folder, said = RunFolder(crash(tmp_path, 9)), list[str]()
    recipe = sit(tmp_path / "again")[0].built.recipe
    loaded, step = model_of_run(folder, recipe, plugins(), CPU, said.append)
    assert step == 5 and said == ["the run has not finished; using step-00000005"]
    stored = read_checkpoint(folder.path / "checkpoints" / "step-00000005").tensors["objective"]
    assert torch.equal(
        loaded.subject.model.fusion.state_dict()["log_scale"], stored["teachers.ema.model.fusion.log_scale"]
    )
    shutil.rmtree(folder.path / "checkpoints")
    (folder.path / "last").unlink()
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        model_of_run(folder, recipe, plugins(), CPU, said.append)


@pytest.mark.parametrize("damage", ["no folder", "no weights", "cut weights", "cut json", "no object", "flipped bit"])
def test_what_is_no_model_is_refused(damage: str, model: Path) -> None:
    if damage == "no folder":
        shutil.rmtree(model)
    elif damage == "no weights":
        (model / "model.safetensors").unlink()
    elif damage == "no object":
        (model / "model.json").write_text("[]")
    elif damage == "flipped bit":
        data = bytearray((model / "model.safetensors").read_bytes())
        data[-9] ^= 1
        (model / "model.safetensors").write_bytes(data)
    else:
        path = model / ("model.safetensors" if damage == "cut weights" else "model.json")
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CheckpointError, match=str(model)):
        load_bundle(model, plugins().registries, CPU)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("format", 2, "has format 2; this mmx reads format 1"),
        ("preprocess", {"size": "large"}, "does not describe a model"),
        ("preprocess", None, "does not describe a model"),
        ("fusion", {"name": "toy", "odd": 1}, "does not describe a model"),
        (
            "image_encoder",
            {"name": "toy", "width": 9},
            r"the weights do not fit .* is \[8, 108\] there and \[9, 108\] here",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(key: str, value: object, found: str, model: Path) -> None:
    path = model / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(CheckpointError, match=found):
        load_bundle(model, plugins().registries, CPU)


def test_a_plugin_that_is_not_there_is_named(model: Path) -> None:
    with pytest.raises(PluginError, match="no image_encoder 'toy'"):
        load_bundle(model, Plugins(discover=False).registries, CPU)
