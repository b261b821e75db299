"""What is never trained is stored once, beside the checkpoints, and verified like the rest."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mmx.checkpoint.manifest import InvalidCheckpointError
from mmx.checkpoint.read import read_checkpoint
from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError
from mmx_toy.proof import final
from mmx_toy.start import MATCH, crash, start

FROZEN = "image_encoder.train=frozen"
TOWER = {"model": {"tower": torch.arange(900.0)}}


def save(store: Store, step: int, given: bool = False, tower: float = 0.0) -> Path:
    frozen = {"model": {"tower": TOWER["model"]["tower"] + tower}} if given else None
    return store.save(step, {"model": {"weight": torch.full((4,), float(step))}}, {}, None, frozen)


def files(run: Path) -> list[Path]:
    return sorted(run.glob("frozen/*"))


def test_it_is_written_once_and_read_with_every_checkpoint(tmp_path: Path) -> None:
    store = Store(tmp_path)
    paths = [save(store, 1, given=True), save(store, 2), save(store, 3)]
    (file,) = files(tmp_path)
    for path in paths[1:]:
        assert list(load_file(path / "model.safetensors")) == ["weight"]
        found = read_checkpoint(path)
        assert found.manifest.frozen["model"].sha256 == file.stem and set(found.tensors["model"]) == {"weight", "tower"}
        assert torch.equal(found.tensors["model"]["tower"], TOWER["model"]["tower"])
    save(Store(tmp_path), 4, given=True)
    assert files(tmp_path) == [file], "another process finds the same content"


def test_it_stays_as_long_as_a_checkpoint_refers_to_it(tmp_path: Path) -> None:
    store = Store(tmp_path, keep_last=2)
    save(store, 1, given=True)
    (first,) = files(tmp_path)
    save(store, 2, given=True, tower=1.0)
    assert len(files(tmp_path)) == 2
    save(store, 3)
    assert len(files(tmp_path)) == 1 and not first.exists()
    assert set(read_checkpoint(save(store, 4)).tensors["model"]) == {"weight", "tower"}


def test_none_goes_while_a_checkpoint_s_references_are_unknown(tmp_path: Path) -> None:
    bad = save(Store(tmp_path, keep_last=1), 1, given=True)
    (bad / "MANIFEST.json").write_bytes(b"{}")
    save(Store(tmp_path, keep_last=2), 2, given=True, tower=1.0)
    assert len(files(tmp_path)) == 2 and (tmp_path / "checkpoints" / "rejected-step-00000001").exists()


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "link"])
def test_damage_is_found_and_named(damage: str, tmp_path: Path) -> None:
    path = save(Store(tmp_path), 1, given=True)
    (file,) = files(tmp_path)
    data = bytearray(file.read_bytes())
    data[-5] ^= 4
    if damage in ("missing", "link"):
        file.unlink()
        if damage == "link":
            (tmp_path / "elsewhere").write_bytes(data)
            file.symlink_to(tmp_path / "elsewhere")
    else:
        file.write_bytes(data if damage == "flipped" else data[:50])
    said = {"flipped": "was changed", "cut": "was cut short", "missing": "is missing", "link": "cannot be read"}
    with pytest.raises(InvalidCheckpointError, match=f"frozen/{file.name} {said[damage]}"):
        read_checkpoint(path)
    store = Store(tmp_path, keep_last=2)
    save(store, 2, given=True)
    assert set(read_checkpoint(path).tensors["model"]) == {"weight", "tower"}, "saving the same again mends it"


def test_a_run_with_a_frozen_tower_goes_on_bit_for_bit(tmp_path: Path) -> None:
    start(tmp_path / "whole", FROZEN, *MATCH)
    run = crash(tmp_path / "broken", 9, FROZEN, *MATCH)
    (file,) = files(run)
    assert load_file(file) and all(name.startswith("image_encoder.") for name in load_file(file))
    newest = max(run.glob("checkpoints/step-*"))
    for group in ("model", "objective"):
        assert not any("image_encoder" in name for name in load_file(newest / f"{group}.safetensors"))
    start(tmp_path / "broken", recipe=None, resume=str(run))
    assert final(run) == final(tmp_path / "whole" / "run")
    assert files(run) == [file]
    model = load_file(run / "model" / "model.safetensors")
    assert all(torch.equal(model[name], value) for name, value in load_file(file).items())


def test_a_tower_may_be_trained_from_some_step_on(tmp_path: Path) -> None:
    run = crash(tmp_path, 9, FROZEN)
    (file,) = files(run)
    tower = load_file(file)
    start(tmp_path, "image_encoder.train=full", "checkpoint.keep_last=1", recipe=None, resume=str(run))
    found = read_checkpoint(max(run.glob("checkpoints/step-*")))
    assert not found.manifest.frozen and not file.exists()
    for name, before in tower.items():
        own, averaged = found.tensors["model"][name], found.tensors["objective"][f"teachers.ema.model.{name}"]
        assert not torch.equal(own, before) and not torch.equal(averaged, own) and not torch.equal(averaged, before)


def test_what_was_trained_cannot_be_frozen_later(tmp_path: Path) -> None:
    run = crash(tmp_path, 6)
    with pytest.raises(CheckpointError, match="parameters that are not trained now: model"):
        start(tmp_path, FROZEN, recipe=None, resume=str(run))
