"""Tensors come back from a checkpoint bit for bit."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from mmx.checkpoint.store import Store
from mmx.checkpoint.tensors import content_of
from mmx.errors import CheckpointError


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    return b"".join(content_of("model", tensors).pieces())


def bits(tensor: Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()) if tensor.numel() else b""


def zoo() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 5, generator=generator)
    return {
        "float32": values,
        "scalar": torch.tensor(0.07),
        "count": torch.tensor(12),
        "bfloat16": values.bfloat16(),
        "bfloat16_scalar": torch.tensor(-1.5, dtype=torch.bfloat16),
        "float16": values.half(),
        "float64": values.double(),
        "odd": torch.arange(7, dtype=torch.uint8),
        "bool": values > 0,
        "complex": torch.complex(values, -values),
        "rng": generator.get_state(),
        "not_numbers": torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-45]),
        "empty": torch.empty(0, 3),
        "empty_too": torch.empty(2, 0, dtype=torch.int64),
        "transposed": values.t(),
        "strided": values[:, ::2],
        "expanded": values[:1].expand(4, 5),
        "conjugated": torch.complex(values, values).conj(),
        "negated": torch.complex(values, values).conj().imag,
        "parameter": nn.Parameter(values.clone()),
        "name with / and ünïcode": values + 1,
    }


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    given = {"model": zoo(), "objective": {}}
    path = Store(tmp_path).save(7, given, {}, None)
    loaded = Store(tmp_path).read(path)
    assert loaded.tensors.keys() == given.keys() and loaded.tensors["objective"] == {}
    assert loaded.tensors["model"].keys() == given["model"].keys()
    for name, tensor in given["model"].items():
        back = loaded.tensors["model"][name]
        assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape), name
        assert bits(back) == bits(tensor.resolve_conj().resolve_neg()), name


def test_what_is_loaded_can_be_written_to_and_is_no_view_of_a_file(tmp_path: Path) -> None:
    path = Store(tmp_path).save(1, {"model": {"weight": torch.ones(4)}}, {})
    weight = Store(tmp_path).read(path).tensors["model"]["weight"]
    (path / "model.safetensors").write_bytes(b"\0" * 100)
    weight += 1
    assert weight.tolist() == [2.0] * 4


def test_tied_tensors_and_views_of_one_storage_come_back_equal() -> None:
    whole = torch.arange(6.0)
    back = load(packed({"a": whole, "b": whole, "head": whole[:4], "tail": whole[2:]}))
    assert torch.equal(back["a"], whole) and torch.equal(back["b"], whole)
    assert torch.equal(back["head"], whole[:4]) and torch.equal(back["tail"], whole[2:])


def test_a_module_with_tied_weights_is_tied_again_after_loading() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    tied = nn.Sequential(first, second)
    saved = {name: value.clone() for name, value in load(packed(tied.state_dict())).items()}
    with torch.no_grad():
        first.weight.zero_()
    tied.load_state_dict(saved)
    assert torch.equal(first.weight, saved["1.weight"]) and first.weight is second.weight


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("s", torch.eye(2).to_sparse(), "sparse"),
        ("m", torch.empty(2, device="meta"), "meta"),
        ("__metadata__", torch.ones(1), "__metadata__"),
    ],
)
def test_what_has_no_plain_bytes_is_refused_by_name(tmp_path: Path, name: str, tensor: Tensor, said: str) -> None:
    with pytest.raises(CheckpointError, match=f"objective.*{said}"):
        Store(tmp_path).save(1, {"objective": {name: tensor}}, {})
    assert not (tmp_path / "checkpoints").exists()
