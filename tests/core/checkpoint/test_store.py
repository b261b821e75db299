"""The right checkpoints stay, and the newest good one is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError


def quiet(message: str) -> None:
    pytest.fail(f"nothing should be said here: {message}")


def save(store: Store, step: int, score: float | None = None) -> Path:
    return store.save(step, {"model": {"weight": torch.full((4,), float(step))}}, {"step": step}, score)


def steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_a_checkpoint_is_safetensors_json_and_a_manifest(tmp_path: Path) -> None:
    path = Store(tmp_path, recipe="ab" * 32).save(500, {"model": {}, "rng": {}}, {}, 0.25)
    assert path == tmp_path / "checkpoints" / "step-00000500"
    assert {item.name for item in path.iterdir()} == {
        "model.safetensors",
        "rng.safetensors",
        "state.json",
        "MANIFEST.json",
    }
    manifest = json.loads((path / "MANIFEST.json").read_text())
    assert (manifest["format"], manifest["step"], manifest["score"], manifest["recipe"]) == (1, 500, 0.25, "ab" * 32)
    assert manifest["files"]["model.safetensors"]["size"] == (path / "model.safetensors").stat().st_size
    assert {oct(item.stat().st_mode & 0o002) for item in (path, *path.iterdir())} == {"0o0"}


def test_the_last_k_and_the_best_stay(tmp_path: Path) -> None:
    store = Store(tmp_path, keep_last=2, keep_best=True)
    for step, score in ((10, 0.1), (20, 0.9), (30, None), (40, 0.3), (50, 0.2)):
        save(store, step, score)
    assert steps(tmp_path) == ["step-00000020", "step-00000040", "step-00000050"]
    assert (tmp_path / "last").read_text() == "step-00000050\n"
    assert (tmp_path / "best").read_text() == "step-00000020\n"
    assert store.best() == tmp_path / "checkpoints" / "step-00000020"


def test_without_keep_best_only_the_last_k_stay(tmp_path: Path) -> None:
    store = Store(tmp_path, keep_last=1, keep_best=False)
    for step, score in ((10, 0.9), (20, 0.1)):
        save(store, step, score)
    assert steps(tmp_path) == ["step-00000020"]


def test_of_equal_scores_the_newest_is_best_and_negative_scores_count(tmp_path: Path) -> None:
    store = Store(tmp_path, keep_last=1)
    for step, score in ((1, -2.0), (2, -1.0), (3, -1.0), (4, -3.0)):
        save(store, step, score)
    assert steps(tmp_path) == ["step-00000003", "step-00000004"]


def test_no_score_means_no_best(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, 1)
    assert store.best() is None and not (tmp_path / "best").exists()


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_is_finite(tmp_path: Path, score: float) -> None:
    with pytest.raises(CheckpointError, match="score"):
        save(Store(tmp_path), 1, score)


def test_at_least_one_checkpoint_must_stay(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_last"):
        Store(tmp_path, keep_last=0)


def test_saving_a_step_again_replaces_it_without_overwriting_it(tmp_path: Path) -> None:
    store = Store(tmp_path, keep_last=2)
    save(store, 1)
    save(store, 2)
    again = store.save(2, {"model": {"weight": torch.zeros(4)}}, {"step": 2})
    assert again.name == "step-00000002.1"
    assert steps(tmp_path) == ["step-00000001", "step-00000002.1"]
    loaded = Store(tmp_path).latest(quiet)
    assert loaded is not None and loaded.tensors["model"]["weight"].sum() == 0


def test_a_bad_one_does_not_count_among_the_last_k_and_is_not_removed(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(Store(tmp_path, keep_last=3), step)
    (tmp_path / "checkpoints/step-00000003/model.safetensors").write_bytes(b"broken")
    save(Store(tmp_path, keep_last=2), 4)
    assert steps(tmp_path) == ["rejected-step-00000003", "step-00000002", "step-00000004"]


def test_the_newest_by_step_is_found_whatever_the_pointers_say(tmp_path: Path) -> None:
    store = Store(tmp_path, keep_last=9)
    for step in (5, 100_000_000, 20):
        save(store, step)
    (tmp_path / "last").write_text("step-00000005\n")
    (tmp_path / "best").unlink(missing_ok=True)
    loaded = Store(tmp_path).latest(quiet)
    assert loaded is not None and loaded.manifest.step == 100_000_000


def test_an_empty_run_has_no_checkpoint(tmp_path: Path) -> None:
    assert Store(tmp_path).latest(quiet) is None
    (tmp_path / "checkpoints/.tmp-1234").mkdir(parents=True)
    assert Store(tmp_path).latest(quiet) is None


def test_a_run_whose_checkpoints_are_gone_does_not_start_over(tmp_path: Path) -> None:
    path = save(Store(tmp_path), 1)
    for item in path.iterdir():
        item.unlink()
    path.rmdir()
    with pytest.raises(CheckpointError, match="does not start over"):
        Store(tmp_path).latest(quiet)


def test_leftovers_are_removed_by_the_next_save(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints/.tmp-1234"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    save(Store(tmp_path), 1)
    assert steps(tmp_path) == ["step-00000001"]


def test_newer_ones_are_set_aside_when_a_run_goes_on_from_an_older_one(tmp_path: Path) -> None:
    store, said = Store(tmp_path, keep_last=5), list[str]()
    for step in (1, 2, 3):
        save(store, step)
    store.drop_after(1, said.append)
    assert steps(tmp_path) == ["rejected-step-00000002", "rejected-step-00000003", "step-00000001"]
    assert len(said) == 2 and "rejected-step-00000003" in said[0]
    save(store, 2)
    store.drop_after(1, said.append)
    assert steps(tmp_path)[1] == "rejected-step-00000002.1"


def test_saving_and_finding_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from mmx.checkpoint.store import Store\n"
        "from mmx.checkpoint.content import Content\n"
        "import mmx.runs.folder, mmx.runs.find, mmx.runs.ledger\n"
        f"Store(Path({str(tmp_path)!r})).write(1, {{'state.json': Content.of(b'{{}}')}})\n"
        "assert 'torch' not in sys.modules and 'safetensors' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60)
    loaded = Store(tmp_path).latest(quiet)
    assert loaded is not None and loaded.values == {}
