"""Files that a part is built from: a run and its model are whole without those that the recipe names."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import mmx_local
import mmx_optim
import mmx_tokenizers
from mmx.errors import RecipeError
from mmx.models.bundle import load_bundle
from mmx.plugin.manager import Plugins
from mmx.runs.request import RunRequest, RunResult
from mmx.train import api
from mmx.train.prepare import prepare
from mmx_tokenizers.config import FileTokenizerConfig
from mmx_toy.proof import entries
from mmx_toy.start import RECIPE
from mmx_toy.watch import AtStep


def plugins() -> Plugins:
    given = {"toy": sys.modules["mmx_toy"], "local": mmx_local, "optim": mmx_optim, "tokenizers": mmx_tokenizers}
    return Plugins(given, discover=False)


def train(out: Path, file: Path | None, resume: Path | None = None, stop: int | None = None) -> RunResult:
    overrides = () if file is None else (f"tokenizer={{ name = 'huggingface', file = '{file}', context = 12 }}",)
    recipe = None if file is None else RECIPE
    used = plugins()
    request = RunRequest(recipe, overrides, (), None if resume is None else str(resume), out, "run")
    if stop is not None:
        used.add(AtStep(stop, _interrupt), "stop")
    return api.run(prepare(request, lambda _: None, used), lambda _: None)


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "from"
    folder.mkdir()
    return Path(FileTokenizerConfig.example("huggingface", folder).file)


def test_a_run_goes_on_and_its_model_loads_without_the_file(tmp_path: Path, file: Path) -> None:
    train(tmp_path / "whole", file)
    with suppress(KeyboardInterrupt):
        train(tmp_path / "broken", file, stop=7)
    before = file.read_bytes()
    shutil.rmtree(file.parent)
    run = tmp_path / "broken" / "run"
    moved = tmp_path / "moved"
    run.rename(moved)
    train(tmp_path / "broken", None, resume=moved)
    assert entries(moved) == entries(tmp_path / "whole" / "run")
    assert (moved / "files" / "tokenizer.json").read_bytes() == before
    model = tmp_path / "model"
    shutil.copytree(moved / "model", model)
    shutil.rmtree(moved)
    import torch

    loaded = load_bundle(model, plugins().registries, torch.device("cpu"))
    assert loaded.embed_texts(["a dog", "two cats"]).shape == (2, 6)
    assert (model / "tokenizer.json").read_bytes() == before


def test_a_file_that_is_not_there_is_told_before_there_is_a_run(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere.json cannot be read: No such file"):
        train(tmp_path / "out", tmp_path / "nowhere.json")
    assert not (tmp_path / "out").exists()
