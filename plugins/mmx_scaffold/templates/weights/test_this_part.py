"""The format by hand: names there and here, and what is no folder of it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmx.errors import CheckpointError
from mmx.parts.weights import ModelData
from mmx_scaffold.templates.weights.config import DESCRIPTION, ThisPartConfig
from mmx_scaffold.templates.weights.format import FILE, ThisPart

CONFIG = ThisPartConfig(name="part")


def written(folder: Path) -> Path:
    tensors = {"image_encoder.a": torch.arange(3.0), "fusion.scale": torch.tensor(2.0)}
    ThisPart(CONFIG).write(folder, ModelData(CONFIG.small(), tensors))
    return folder


def test_names(tmp_path: Path) -> None:
    assert set(load_file(written(tmp_path) / FILE)) == {"vision.a", "head.scale"}
    found = ThisPart(CONFIG).read(tmp_path)
    assert found.tensors["image_encoder.a"].tolist() == [0, 1, 2] and found.tables == CONFIG.small()


def test_recognised(tmp_path: Path) -> None:
    assert not ThisPartConfig.recognises(tmp_path)
    assert ThisPartConfig.recognises(written(tmp_path))
    (tmp_path / DESCRIPTION).write_text(json.dumps({"fusion": {}}))
    assert not ThisPartConfig.recognises(tmp_path)


def test_an_unknown_tensor_is_named(tmp_path: Path) -> None:
    save_file({"tail.a": torch.zeros(1)}, written(tmp_path) / FILE)
    with pytest.raises(CheckpointError, match=r"the tensor tail\.a belongs to none of vision, language, head"):
        ThisPart(CONFIG).read(tmp_path)
