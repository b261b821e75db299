"""Tensors are put together one at a time, by all processes in the same order, whatever happens to the main one."""

import weakref
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from mmx.checkpoint.read import read_checkpoint
from mmx.checkpoint.state import load_weights
from mmx.checkpoint.store import Store
from mmx.checkpoint.stored import StoredTensors
from mmx.checkpoint.streaming import NeverTrained, write_together
from mmx.errors import CheckpointError
from mmx.parts.engine import Engine
from mmx.parts.lazy import LazyTensor, Tensors, gathered


class Parts:
    """Tensors that lie in parts, and which were put together when; the one before must be gone by then."""

    def __init__(self, main: bool = True) -> None:
        self.engine = cast(Engine, SimpleNamespace(main=main, everyone=lambda value: [value]))
        self.made: list[str] = []
        self._last: Any = lambda: None

    def lazy(self, name: str, value: Tensor) -> LazyTensor:
        def gather() -> Tensor | None:
            assert self._last() is None, f"{self.made[-1]} is still in memory when {name} is put together"
            self.made.append(name)
            memory = value.numpy().copy()
            self._last = weakref.ref(memory)  # alive as long as any tensor or view of it is
            return torch.from_numpy(memory) if self.engine.main else None

        return LazyTensor(value.shape, value.dtype, gather)

    def groups(self) -> dict[str, Tensors]:
        wide = {f"w{place}": self.lazy(f"w{place}", torch.full((70, 90), float(place))) for place in (3, 1, 2)}
        return {
            "model": wide | {"flag": self.lazy("flag", torch.ones(3, dtype=torch.bool))},
            "rng": {"cpu": torch.ones(9)},
        }


ORDER = ["w1", "w2", "w3", "flag"]


def test_one_tensor_is_in_memory_at_a_time(tmp_path: Path) -> None:
    parts = Parts()
    write_together(parts.engine, parts.groups(), lambda groups: Store(tmp_path).save(1, groups, {}) and None)
    assert parts.made == ORDER
    found = read_checkpoint(tmp_path / "checkpoints" / "step-00000001").tensors["model"]
    assert found["w2"].eq(2).all() and found["w2"].shape == (70, 90) and found["flag"].all()


def test_other_processes_give_their_parts_in_the_same_order() -> None:
    parts = Parts(main=False)
    write_together(parts.engine, parts.groups(), lambda groups: pytest.fail("only the main process writes"))
    assert parts.made == ORDER
    assert gathered(parts.groups()["model"]) == {}


def test_where_the_main_process_fails_the_others_do_not_wait() -> None:
    parts = Parts()

    def fails(groups: Mapping[str, Tensors]) -> None:
        gathered({"w1": groups["model"]["w1"]})
        raise CheckpointError("the disk is full")

    with pytest.raises(CheckpointError, match="the disk is full"):
        write_together(parts.engine, parts.groups(), fails)
    assert parts.made == ORDER


def test_each_weight_is_read_once_and_copied_into_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Store(tmp_path).save(1, {"model": {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}}, {})
    read: list[str] = []
    real = StoredTensors.__getitem__

    def watched(self: StoredTensors, name: str) -> Tensor:
        read.append(name)
        return real(self, name)

    monkeypatch.setattr(StoredTensors, "__getitem__", watched)
    module = nn.Linear(3, 2)
    load_weights(module, read_checkpoint(path).tensors["model"])
    assert read == ["weight", "bias"] and module.weight.eq(1).all() and module.bias.eq(0).all()


def test_what_changes_after_it_was_verified_is_not_used(tmp_path: Path) -> None:
    path = Store(tmp_path).save(1, {"model": {"weight": torch.ones(4), "bias": torch.ones(4)}}, {})
    found = read_checkpoint(path).tensors["model"]
    file = path / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert found["bias"].eq(1).all()
    with pytest.raises(CheckpointError, match="'weight' is not what was verified"):
        found["weight"]
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot be read any more"):
        found["bias"]


def test_what_is_not_trained_is_given_once_and_again_when_it_was_moved_in_place() -> None:
    objective = cast(Any, nn.ModuleDict({"model": nn.Linear(2, 2)}))
    objective["model"].bias.requires_grad_(False)
    engine, never = Parts().engine, NeverTrained(objective)
    tensors = {"model": dict(objective["model"].state_dict()), "objective": {}}
    moving, frozen = never.apart(engine, tensors)
    assert set(moving["model"]) == {"weight"} and frozen is not None and set(frozen["model"]) == {"bias"}
    never.stored()
    assert never.apart(engine, tensors)[1] is None
    with torch.no_grad():
        objective["model"].weight.add_(1)
        assert never.apart(engine, tensors)[1] is None
        objective["model"].bias.add_(1)
    assert never.apart(engine, tensors)[1] is not None
