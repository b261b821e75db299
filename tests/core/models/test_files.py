"""Files of model folders: limits, links, indexes, and what is never opened."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mmx.errors import CheckpointError
from mmx.models.files import HEADER_LIMIT, glance, read_json, read_tensors, write_model

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.5), "c": torch.ones(2, dtype=torch.bfloat16)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    return path


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_one_file_comes_back_as_it_was_written(folder: Path) -> None:
    write_model(folder, "model.safetensors", TENSORS, {"config.json": {"é": 1}})
    found, files = read_tensors(folder)
    assert same(found) and files == ("model.safetensors",) and read_json(folder, "config.json") == {"é": 1}


def sharded(folder: Path, **placed: str) -> None:
    for file in sorted(set(placed.values())):
        save_file({name: TENSORS[name] for name, where in placed.items() if where == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))


def test_shards_are_read_by_their_index(folder: Path) -> None:
    sharded(folder, a="model-1.safetensors", b="model-2.safetensors", c="model-1.safetensors")
    found, files = read_tensors(folder)
    assert same(found) and files == ("model-1.safetensors", "model-2.safetensors")


def test_an_index_that_is_wrong_is_told(folder: Path) -> None:
    sharded(folder, a="one.safetensors", b="two.safetensors", c="one.safetensors")
    save_file({"a": TENSORS["a"]}, folder / "one.safetensors")
    with pytest.raises(CheckpointError, match=r"one.safetensors has no tensor 'c', which .*index.json says"):
        read_tensors(folder)
    (folder / "two.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"two.safetensors is not there"):
        read_tensors(folder)
    for wrong in ('{"weight_map": {"a": 1}}', '{"weight_map": {}}', "{}"):
        (folder / "model.safetensors.index.json").write_text(wrong)
        with pytest.raises(CheckpointError, match="has no weight_map"):
            read_tensors(folder)


def test_an_index_does_not_lead_out_of_the_folder(folder: Path) -> None:
    save_file(TENSORS, folder.parent / "secret.safetensors")
    for name in ("../secret.safetensors", str(folder.parent / "secret.safetensors")):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(CheckpointError, match="which is not the name of a file in it"):
            read_tensors(folder)


def test_a_link_does_not_lead_out_of_the_folder_but_within_a_hub_s_cache(folder: Path) -> None:
    save_file(TENSORS, folder.parent / "secret.safetensors")
    (folder / "model.safetensors").symlink_to(folder.parent / "secret.safetensors")
    with pytest.raises(CheckpointError, match="outside of the folder; copy the file"):
        read_tensors(folder)
    snapshot, blobs = folder / "snapshots" / "1234", folder / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    save_file(TENSORS, blobs / "sha")
    (snapshot / "model.safetensors").symlink_to("../../blobs/sha")
    assert same(read_tensors(snapshot)[0])


def test_pickled_python_is_named_and_left_closed(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(CheckpointError, match=r"model.safetensors is not there; pytorch_model.bin is: .* never opened"):
        read_tensors(folder)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "it has 0 bytes"),
        (struct.pack("<Q", 1 << 60) + b"{}", "its header says that it has 1,152,921,504,606,846,976 bytes"),
        (struct.pack("<Q", HEADER_LIMIT + 1) + b" " * 64, "its header says"),
        (struct.pack("<Q", 2) + b"[]", "is not a safetensors file"),
        (b"not one at all, but long enough to look at", "is not a safetensors file"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(data: bytes, expected: str, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=f"model.safetensors .*{expected}"):
        read_tensors(folder)


def test_a_file_that_was_cut_is_refused(folder: Path) -> None:
    save_file(TENSORS, folder / "model.safetensors")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        read_tensors(folder)


def test_descriptions_are_read_with_limits_and_looked_at_without_errors(folder: Path) -> None:
    path = folder / "config.json"
    assert glance(folder, "config.json") == glance(folder / "config.json", "x") == {}
    for wrong, expected in ((b"[]", "is not a JSON object"), (b"{", "is not JSON"), (b"[" * 100_000, "is not JSON")):
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=f"config.json {expected}"):
            read_json(folder, "config.json")
        assert glance(folder, "config.json") == {}
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match="is not a file"):
        read_json(folder, "config.json")
    assert glance(folder, "config.json") == {}
