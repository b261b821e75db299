"""``model/`` is the trained model by itself."""

import io
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mmx.checkpoint.read import read_checkpoint
from mmx.data.decode import decode
from mmx.errors import CheckpointError, DataError, PluginError
from mmx.evaluate.measure import eval_model_of
from mmx.models.bundle import load_bundle
from mmx.models.load import load_model, model_of_run
from mmx.parts.group import SoloGroup
from mmx.plugin.manager import Plugins
from mmx.runs.layout import RunFolder
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
    subject = eval_model_of(session.experiment.objective, session.experiment.reading, SoloGroup())
    alone = load_model(Path(shutil.move(tmp_path / "run" / "model", tmp_path / "alone")), plugins(), CPU)
    assert torch.equal(
        alone.embed_texts(["a red", "blue"]), subject.model.embed_text(subject.tokenizer(["a red", "blue"]))
    )
    images = alone.embed_images([*pictures(), pictures()[0].convert("L")])
    assert images.shape == (4, 6) and torch.allclose(images.norm(dim=1), torch.ones(4))
    assert not torch.equal(images[0], images[3]) and not images.requires_grad


def test_nothing_has_no_embeddings_but_a_width(model: Path) -> None:
    loaded = load_bundle(model, plugins().registries, CPU)
    assert loaded.embed_texts([]).shape == loaded.embed_images([]).shape == (0, 6)


def test_what_is_no_list_of_texts_is_named(model: Path) -> None:
    loaded = load_bundle(model, plugins().registries, CPU)
    for given, message in (
        ("a red", r"not one string: embed_texts\(\['a red'\]\)"),
        (["a red", 7], "item 1 is of type int, expected a string: 7"),
        (None, "takes a list of strings; what it got is of type NoneType"),
    ):
        with pytest.raises(DataError, match=message):
            loaded.embed_texts(cast(Any, given))


def test_what_is_no_list_of_pictures_is_named(model: Path, tmp_path: Path) -> None:
    loaded, cut = load_bundle(model, plugins().registries, CPU), tmp_path / "cut.png"
    pictures()[2].save(cut)
    cut.write_bytes(cut.read_bytes()[:150])
    for given, message in (
        (pictures()[0], r"not one picture: embed_images\(\[picture\]\)"),
        ("a.png", "takes a list of PIL images; what it got is of type str: 'a.png'"),
        ([pictures()[0], "a.png"], "item 1 is of type str, expected a PIL image: 'a.png'\nPIL.Image.open"),
        (np.zeros((2, 4, 4, 3), np.uint8), "item 0 is of type numpy.ndarray, expected a PIL image"),
        ([Image.new("RGB", (0, 4))], "item 0 cannot be read: the picture has no pixels"),
    ):
        with pytest.raises(DataError, match=message):
            loaded.embed_images(cast(Any, given))
    with Image.open(cut) as opened, pytest.raises(DataError, match=f"item 1 \\({cut}\\) cannot be read: "):
        loaded.embed_images([pictures()[0], opened])


def test_a_picture_is_read_as_datasets_read_it(model: Path) -> None:
    """Upright, transparency on white: what Pillow alone would not do."""
    loaded, file = load_bundle(model, plugins().registries, CPU), io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.paste(pictures()[0].resize((4, 8)), (0, 0))
    clear.save(file, "PNG", exif=turned)
    with Image.open(file) as opened:
        found = loaded.embed_images([opened, decode(file.getvalue(), "x"), opened.convert("RGB")])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


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
    recipe = sit(tmp_path / "again")[0].experiment.recipe
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


def test_a_model_that_is_older_than_the_newest_checkpoint_is_not_what_the_run_has(tmp_path: Path) -> None:
    folder, said = RunFolder(crash(tmp_path, 9)), list[str]()
    recipe = sit(tmp_path / "again")[0].experiment.recipe
    folder.model.mkdir()
    (folder.model / "model.json").write_text('{"step": 4}')
    assert model_of_run(folder, recipe, plugins(), CPU, said.append)[1] == 5 and "using step-00000005" in said[0]
    (folder.model / "model.json").write_text('{"step": 5}')
    with pytest.raises(CheckpointError, match="is not a model folder"):
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
