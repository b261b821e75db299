"""MODEL: what is given, and what is said where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mmx.errors import CheckpointError, RecipeError
from mmx.models.find import FoundModel, find_model
from mmx.models.load import load_model
from mmx.plugin.manager import Plugins
from mmx_toy.formats import TABLES, flat, with_formats

CPU = torch.device("cpu")


@pytest.fixture
def known() -> Plugins:
    return with_formats()


@pytest.fixture
def foreign(source: Path, tmp_path: Path) -> Path:
    return flat(tmp_path / "foreign", load_file(source / "model.safetensors"))


def test_each_form_of_a_model_is_told(trained: Path, source: Path, foreign: Path, known: Plugins) -> None:
    found = [find_model(path, known.registries) for path in (trained, trained / "model", source, foreign)]
    assert [(one.form, one.format) for one in found] == [("run", "run"), *[("model", "mmx")] * 2, ("format", "flat")]
    named = find_model(f"flat:{foreign}", known.registries)
    assert named == FoundModel(f"flat:{foreign}", foreign, "format", "flat")


def test_every_form_gives_the_same_model(trained: Path, foreign: Path, known: Plugins) -> None:
    found = [load_model(path, known, CPU).embed_texts(["a red"]) for path in (trained, trained / "model", foreign)]
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_a_folder_of_two_formats_is_asked_about(foreign: Path, known: Plugins) -> None:
    (foreign / "cold.json").write_text('{"cold": 1}')
    with pytest.raises(CheckpointError) as caught:
        find_model(foreign, known.registries)
    assert f"say which, cold:{foreign} or flat:{foreign}" in str(caught.value)
    assert find_model(f"cold:{foreign}", known.registries).format == "cold"


def test_a_folder_without_a_model_says_what_was_looked_for(tmp_path: Path, known: Plugins) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError) as caught:
        find_model(tmp_path, known.registries)
    text = str(caught.value)
    assert f"{tmp_path} has no model: looked for {tmp_path / 'model' / 'model.json'} (of a run)" in text
    assert "formats that were tried:\n  cold: cold.json\n  flat: flat.json beside flat.safetensors\n" in text
    assert "it has pytorch_model.bin: it is a file of pickled Python" in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("nowhere", r"nowhere does not exist: looked for a run \(resolved.toml\), a model of mmx .*, flat \(flat.json"),
        ("hf-hub:someone/model", r"'hf-hub' no format of models \(known: cold, flat\); .* download it first"),
        ("s3://bucket/model", "download it first"),
        ("flt:.", r"there is no format of models 'flt' \(known: cold, flat\); give . alone"),
        ("flat:.", "is not a model of the format 'flat'"),
    ],
)
def test_what_is_no_model_is_refused(
    given: str, expected: str, known: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=expected):
        find_model(given, known.registries)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.pt", "never opened here; convert it"),
        ("model.safetensors", "give the folder that describes it"),
        ("model.gguf", "give the folder of a run or of a model"),
    ],
)
def test_a_file_is_no_model(name: str, expected: str, known: Plugins, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=f"is a file, and a model is a folder: .*{expected}"):
        find_model(tmp_path / name, known.registries)


def test_what_a_folder_does_not_tell_is_asked_for_and_not_guessed(source: Path, tmp_path: Path, known: Plugins) -> None:
    tensors = load_file(source / "model.safetensors")
    foreign = flat(tmp_path / "silent", tensors, {**TABLES, "preprocess": {"size": 6}})
    with pytest.raises(CheckpointError) as caught:
        load_model(foreign, known, CPU)
    assert "does not tell all of the model:\n  preprocess.resize: flat.json does not say\n" in str(caught.value)
    assert "--set 'preprocess.resize=...'" in str(caught.value)
    loaded = load_model(foreign, known, CPU, ["preprocess.resize=pad"])
    assert loaded.subject.preprocess.resize == "pad"
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        load_model(foreign, known, CPU, ["preprocess.resize"])


def test_weights_that_do_not_fit_their_description_are_named(source: Path, tmp_path: Path, known: Plugins) -> None:
    tensors = load_file(source / "model.safetensors")
    foreign = flat(tmp_path / "other", {**tensors, "fusion.more": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"do not fit the recipe's model: not used: fusion\.more"):
        load_model(foreign, known, CPU)


def test_looking_for_a_model_imports_no_torch(trained: Path) -> None:
    code = (
        "import sys; from mmx.plugin.manager import Plugins; from mmx.models.find import find_model\n"
        f"found = find_model({str(trained)!r}, Plugins().registries); assert found.form == 'run'\n"
        f"try: find_model({str(trained.parent)!r}, Plugins().registries)\n"
        "except Exception as error: assert 'transformers' in str(error), error\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
