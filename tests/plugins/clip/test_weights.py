"""Formats of weights: against transformers itself, and open_clip's names and shapes of the golden models."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

import mmx
from mmx.cli.main import app
from mmx.errors import CheckpointError
from mmx.models import build as model_build
from mmx.models.bundle import LoadedModel, parts_of
from mmx.parts.batch import Pixels
from mmx.parts.weights import ModelData, WeightsFormat
from mmx.plugin.manager import Plugins
from mmx_clip.convert import from_open_clip, from_transformers, to_open_clip, to_transformers
from mmx_clip.weights_configs import OpenClipWeightsConfig, TransformersWeightsConfig
from mmx_clip.weights_model import mlp_ratio
from mmx_clip.weights_open_clip import OpenClipWeights
from mmx_clip.weights_transformers import TransformersWeights

TEXTS: Final = ("a red dog", "two cats and a blue bird, drawn with thin lines on paper and cut where the text ends")
GIVEN: Final = (
    *("tokenizer.name=clip", "tokenizer.context=16", "preprocess.resize=squash"),
    *("preprocess.mean=[0.5, 0.4, 0.3]", "preprocess.std=[0.2, 0.3, 0.4]"),
)
OPEN_CLIP: Final[dict[str, Any]] = {
    "model_cfg": {
        "embed_dim": 12,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}


def formats() -> dict[str, WeightsFormat]:
    return {
        "open_clip": OpenClipWeights(OpenClipWeightsConfig(name="open_clip")),
        "transformers": TransformersWeights(TransformersWeightsConfig(name="transformers")),
    }


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins()


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    """transformers' CLIPModel, small, with random weights and an MLP whose width is no round multiple."""
    transformers = pytest.importorskip("transformers")
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    text = {
        **{"vocab_size": 49408, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2},
        **{"num_attention_heads": 3, "max_position_embeddings": 16, "bos_token_id": 49406, "eos_token_id": 49407},
    }
    vision = {
        **{"hidden_size": 32, "intermediate_size": 77, "num_hidden_layers": 2, "num_attention_heads": 4},
        **{"image_size": 16, "patch_size": 8, "hidden_act": "gelu"},
    }
    model = transformers.CLIPModel(transformers.CLIPConfig(projection_dim=12, text_config=text, vision_config=vision))
    for parameter in model.parameters():  # biases start at 0, and gains at 1
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.constant_(model.logit_scale, 3.0)
    yield model.eval()


@pytest.fixture
def folder(oracle: Any, tmp_path: Path) -> Path:
    oracle.save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def pooled(found: Any) -> Tensor:
    """Return unit vectors of what transformers' functions for features return, in any version."""
    return torch.nn.functional.normalize(found if isinstance(found, Tensor) else found.pooler_output, dim=-1)


def features(model: Any, loaded: LoadedModel) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return unit features in fp64: theirs and ours of pictures, theirs and ours of texts."""
    ours, words = loaded.subject.model.double(), loaded.subject.tokenizer(TEXTS)
    pixels = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mean, std = (255 * torch.tensor(loaded.subject.preprocess.__dict__[name]).view(3, 1, 1) for name in ("mean", "std"))
    theirs = model.double()
    with torch.no_grad():
        images = theirs.get_image_features(pixel_values=((pixels - mean) / std).double())
        texts = theirs.get_text_features(input_ids=words.ids, attention_mask=words.mask.long())
        return pooled(images), ours.embed_image(Pixels(pixels)), pooled(texts), ours.embed_text(words)


def close(model: Any, loaded: LoadedModel) -> None:
    images, our_images, texts, our_texts = features(model, loaded)
    torch.testing.assert_close(our_images, images.to(our_images.dtype), rtol=0, atol=1e-6)
    torch.testing.assert_close(our_texts, texts.to(our_texts.dtype), rtol=0, atol=1e-9)
    assert (images[0] - images[1]).abs().max() > 1e-3 and (texts[0] - texts[1]).abs().max() > 1e-3
    torch.testing.assert_close(loaded.subject.model.fusion.scale(), model.logit_scale.exp().detach())


def test_a_folder_of_transformers_gives_its_features(oracle: Any, folder: Path) -> None:
    close(oracle, mmx.load(folder, overrides=GIVEN))


def test_half_precision_and_shards_are_read(oracle: Any, tmp_path: Path) -> None:
    half = type(oracle)(oracle.config)
    half.load_state_dict(oracle.state_dict())
    half.bfloat16().save_pretrained(tmp_path / "half", max_shard_size="100KB")
    assert len(list((tmp_path / "half").glob("model-*.safetensors"))) > 1
    loaded = mmx.load(tmp_path / "half", overrides=GIVEN)
    assert {tensor.dtype for tensor in loaded.subject.model.state_dict().values()} == {torch.float32}
    close(half.float().eval(), loaded)


def test_what_is_written_is_read_by_transformers_with_equal_features(oracle: Any, folder: Path, tmp_path: Path) -> None:
    import transformers

    ours = mmx.load(folder, overrides=GIVEN)
    out = tmp_path / "ours"
    out.mkdir()
    formats()["transformers"].write(out, ModelData(ours.tables, ours.subject.model.state_dict()))
    theirs = transformers.CLIPModel.from_pretrained(out).eval()
    before, after = (load_file(path / "model.safetensors") for path in (folder, out))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    again = mmx.load(out)  # nothing is left to ask
    close(theirs, again)
    assert again.subject.preprocess == ours.subject.preprocess
    words = ours.subject.tokenizer(TEXTS)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(out)
    for row, mask, text in zip(words.ids, words.mask, TEXTS, strict=True):
        assert tokenizer(text, truncation=True)["input_ids"] == row[mask].tolist()
    processor = transformers.CLIPImageProcessor.from_pretrained(out)
    picture = Image.effect_mandelbrot((40, 24), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    pixels = torch.as_tensor(processor(picture, return_tensors="pt")["pixel_values"])
    with torch.no_grad():
        found = pooled(theirs.float().get_image_features(pixel_values=pixels))
    again.subject.model.float()
    torch.testing.assert_close(again.embed_images([picture]), found, rtol=0, atol=2e-2)


def test_a_silent_folder_is_asked_about(folder: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        mmx.load(folder)
    for key in ("tokenizer.name", "preprocess.mean", "preprocess.std", "preprocess.resize"):
        assert f"  {key}: " in str(caught.value)


@pytest.fixture
def golden_state(golden: dict[str, Any], weight: Any, request: pytest.FixtureRequest) -> dict[str, Tensor]:
    counters = {name: torch.tensor(0) for name in golden["models"][request.param]["shapes"] if name.endswith("tracked")}
    shapes = golden["models"][request.param]["shapes"]
    return {name: weight(name, shape).float() for name, shape in shapes.items()} | counters


@pytest.mark.parametrize("golden_state", ["open_clip quick_gelu", "open_clip modified_resnet"], indirect=True)
def test_open_clip_s_tensors_come_back_unchanged(golden_state: dict[str, Tensor]) -> None:
    """That they give the same model is in test_golden.py."""
    stages = (1, 2, 1, 1) if any(name.startswith("visual.layer") for name in golden_state) else ()
    found = to_open_clip(from_open_clip(golden_state), stages)
    assert found.keys() == golden_state.keys()
    assert all(torch.equal(found[name], golden_state[name]) for name in found)
    with pytest.raises(
        CheckpointError, match=r"this model is not open_clip's CLIP: missing: fusion\.logit_scale; unknown: b"
    ):
        ours = from_open_clip(golden_state)
        to_open_clip({**{k: v for k, v in ours.items() if k != "fusion.logit_scale"}, "b": torch.zeros(1)}, stages)


@pytest.mark.parametrize("golden_state", ["transformers gelu"], indirect=True)
def test_transformers_tensors_come_back_unchanged(golden_state: dict[str, Tensor]) -> None:
    found = to_transformers(from_transformers(golden_state))
    assert found.keys() == golden_state.keys()
    assert all(torch.equal(found[name], golden_state[name]) for name in found)


def written(folder: Path, plugins: Plugins, description: dict[str, Any] | None = None) -> Path:
    """Write a folder in open_clip's layout, by its own names, with random weights."""
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP))
    tables = read_tables(folder)
    torch.manual_seed(0)
    with_parts = mmx_model(tables, plugins)
    save_file(to_open_clip(with_parts.state_dict()), folder / "open_clip_model.safetensors")
    if description is not None:
        (folder / "open_clip_config.json").write_text(json.dumps(description))
    return folder


def read_tables(folder: Path) -> dict[str, Any]:
    from mmx_clip.weights_open_clip import _model, _preprocess

    path = folder / "open_clip_config.json"
    description = json.loads(path.read_text())
    tables, _ = _model(description["model_cfg"], path)
    preprocess, _ = _preprocess(description["preprocess_cfg"], tables.pop("size"))
    return {**tables, "preprocess": preprocess}


def mmx_model(tables: dict[str, Any], plugins: Plugins) -> torch.nn.Module:
    parts = parts_of(tables, plugins.registries, "the test", Path())
    return model_build.model_of(parts, plugins.registries, model_build.reading(parts, plugins.registries))[0]


def test_a_folder_in_open_clip_s_layout_is_read_and_written(plugins: Plugins, tmp_path: Path) -> None:
    description: dict[str, Any] = json.loads(json.dumps(OPEN_CLIP))
    description["model_cfg"]["vision_cfg"]["image_size"] = [16, 16]
    theirs = written(tmp_path / "theirs", plugins, description)
    loaded = mmx.load(theirs)
    assert loaded.tables["image_encoder"]["activation"] == "quick_gelu" and loaded.subject.preprocess.resize == "crop"
    assert loaded.tables["image_encoder"]["heads"] == 2 and loaded.subject.tokenizer.context == 16
    out = tmp_path / "ours"
    out.mkdir()
    formats()["open_clip"].write(out, ModelData(loaded.tables, loaded.subject.model.state_dict()))
    before, after = (load_file(path / "open_clip_model.safetensors") for path in (theirs, out))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    again = mmx.load(out)
    assert torch.equal(again.embed_texts(TEXTS), loaded.embed_texts(TEXTS)) and again.tables == loaded.tables
    assert json.loads((out / "open_clip_config.json").read_text())["model_cfg"]["quick_gelu"] is True


@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ("vision_cfg", "timm_model_name", "vit_x", "timm_model_name = 'vit_x' is a model that mmx has no part for"),
        ("vision_cfg", "ls_init_value", 1e-5, "ls_init_value = 1e-05 is a model"),
        ("text_cfg", "no_causal_mask", True, "no_causal_mask = True is a model"),
        ("text_cfg", "pool_type", "last", "pool_type = 'last' is a model"),
        ("vision_cfg", "image_size", [16, 32], "image_size is"),
        ("vision_cfg", "width", "wide", "width is 'wide'; expected a whole number"),
        ("vision_cfg", "head_width", 5, "not divisible by heads"),
        ("text_cfg", "hf_tokenizer_name", "bert", "tokenizer.name: its tokenizer is not CLIP's, but bert"),
        ("text_cfg", "vocab_size", 64, "tokenizer.name: its tokenizer is not CLIP's, but one of 64 ids"),
        ("", "custom_text", True, "custom_text = True is a model"),
        ("", "embed_dim", 10, r"fusion.image.weight is \[12, 16\] there and \[10, 16\] here"),
    ],
)
def test_what_open_clip_describes_and_mmx_has_not_is_refused_by_name(
    table: str, key: str, value: object, expected: str, plugins: Plugins, tmp_path: Path
) -> None:
    description: dict[str, Any] = json.loads(json.dumps(OPEN_CLIP))
    model = description["model_cfg"]
    (model[table] if table else model)[key] = value
    folder = written(tmp_path / "model", plugins, description)
    with pytest.raises(CheckpointError, match=expected):
        mmx.load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("interpolation", "bilinear"), ("resize_mode", "longest"), ("mean", None), ("std", [1, 2]), ("", None)],
)
def test_preprocessing_that_is_another_is_asked_about(
    key: str, value: object, plugins: Plugins, tmp_path: Path
) -> None:
    description: dict[str, Any] = json.loads(json.dumps(OPEN_CLIP))
    if key:
        description["preprocess_cfg"][key] = value
    else:
        del description["preprocess_cfg"]
    with pytest.raises(CheckpointError, match=r"does not tell all of the model:\n  preprocess\."):
        mmx.load(written(tmp_path / "model", plugins, description))


@pytest.mark.parametrize("name", ["open_clip", "transformers"])
@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ("tokenizer", "merges", 10, "tokenizer.merges = 10; it has CLIP's vocabulary of all 48894"),
        ("image_encoder", "pre_norm", False, "image_encoder.pre_norm = false; it has true"),
        ("fusion", "name", "other", "fusion.name = 'other'; it has projection"),
        ("text_encoder", "causal", False, "text_encoder.causal = False"),
    ],
)
def test_what_a_format_cannot_express_is_refused_and_nothing_written(
    name: str, table: str, key: str, value: object, expected: str, tmp_path: Path
) -> None:
    tables: dict[str, Any] = json.loads(json.dumps(OpenClipWeightsConfig(name="open_clip").small()))
    tables[table][key] = value
    if key == "causal":
        tables[table]["padding"] = "compute"
    with pytest.raises(CheckpointError, match=expected):
        formats()[name].write(tmp_path, ModelData(tables, {}))
    assert not list(tmp_path.iterdir())


def test_widths_of_mlps_survive_as_ratios() -> None:
    assert all(
        int(mlp_ratio(width, hidden) * width) == hidden for width in range(1, 200) for hidden in range(1, 900, 7)
    )


def test_the_command_evaluates_a_folder_of_another_project(plugins: Plugins, tmp_path: Path) -> None:
    model = written(tmp_path / "model", plugins)
    options = {
        "name": "zeroshot",
        "data.name": "emoji",
        "data.split": "test",
        "data.styles": ["fluent"],
        "templates": ["{}"],
    }
    sets = [word for key, value in options.items() for word in ("--set", f"evaluators.zs.{key}={json.dumps(value)}")]
    done = CliRunner().invoke(app, ["eval", str(model), *sets, "--json", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["format"] == "open_clip" and "zs" in found["evaluations"]
    refused = CliRunner().invoke(app, ["eval", str(model), *sets, "--out", str(tmp_path / "out")])
    assert refused.exit_code == 5 and "never overwritten" in refused.stderr


def test_pickled_weights_are_never_opened(plugins: Plugins, tmp_path: Path) -> None:
    model = written(tmp_path / "model", plugins)
    shutil.move(model / "open_clip_model.safetensors", model / "open_clip_pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match=r"open_clip_model.safetensors is not there; open_clip_pytorch_model.bin is"
    ):
        mmx.load(model)
