"""A damaged or hostile checkpoint is never used: it is named, and the one before it is taken."""

import os
import pickle
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmx.checkpoint.content import Content
from mmx.checkpoint.manifest import InvalidCheckpointError, Manifest, Record
from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError

FILES = ("MANIFEST.json", "model.safetensors", "rng.safetensors", "state.json")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two checkpoints; the newer one is to be damaged."""
    store = Store(tmp_path, keep_last=2)
    for step in (1, 2):
        weight = torch.randn(20, generator=torch.Generator().manual_seed(step))
        store.save(
            step, {"model": {"weight": weight}, "rng": {"cpu": torch.arange(50, dtype=torch.uint8)}}, {"step": step}
        )
    return tmp_path


def newest(run: Path) -> Path:
    return run / "checkpoints/step-00000002"


def falls_back(run: Path) -> str:
    """Assert that step 1 is used, unchanged, and return what was said."""
    said: list[str] = []
    loaded = Store(run).latest(said.append)
    assert loaded is not None and loaded.manifest.step == 1 and loaded.values == {"step": 1}
    assert torch.equal(loaded.tensors["model"]["weight"], torch.randn(20, generator=torch.Generator().manual_seed(1)))
    assert "step-00000002" in said[0] and "using step-00000001 instead" in said[1] and len(said) == 2
    return said[0]


def test_every_flipped_bit_is_found(run: Path) -> None:
    draw = random.Random(0)
    contents = {name: (newest(run) / name).read_bytes() for name in FILES}
    places = [(name, place) for name, data in contents.items() for place in range(8 * len(data))]
    chosen = draw.sample(places, 300)
    assert {name for name, _ in chosen} == set(FILES)
    for name, place in chosen:
        flipped = bytearray(contents[name])
        flipped[place // 8] ^= 1 << place % 8
        (newest(run) / name).write_bytes(flipped)
        said = falls_back(run)
        assert name in said or "format version" in said or "model" in said, said
        (newest(run) / name).write_bytes(contents[name])
    loaded = Store(run).latest(pytest.fail)
    assert loaded is not None and loaded.manifest.step == 2, "without a flip it is good"


def test_an_unverified_load_would_have_used_flipped_bits(run: Path) -> None:
    # The format itself does not notice: this is why each file's sha256 is compared.
    from safetensors.torch import load

    data = bytearray((newest(run) / "model.safetensors").read_bytes())
    data[-1] ^= 1
    good = load((newest(run) / "model.safetensors").read_bytes())
    assert not torch.equal(load(bytes(data))["weight"], good["weight"])


@pytest.mark.parametrize("name", FILES)
def test_every_cut_is_found(run: Path, name: str) -> None:
    data = (newest(run) / name).read_bytes()
    for length in (0, 1, 7, len(data) // 2, len(data) - 1):
        (newest(run) / name).write_bytes(data[:length])
        assert "cut short" in falls_back(run)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(run: Path, name: str) -> None:
    (newest(run) / name).unlink()
    assert f"{name} is missing" in falls_back(run)


def test_a_file_that_has_grown_or_was_swapped_is_found(run: Path) -> None:
    model = newest(run) / "model.safetensors"
    data = model.read_bytes()
    model.write_bytes(data + b"\0")
    assert "has grown" in falls_back(run)
    model.write_bytes((run / "checkpoints/step-00000001/model.safetensors").read_bytes())
    assert "sha256" in falls_back(run)


def test_checkpoints_whose_names_were_exchanged_are_found(run: Path) -> None:
    first, second = run / "checkpoints/step-00000001", newest(run)
    first.rename(run / "aside")
    second.rename(first)
    (run / "aside").rename(second)
    with pytest.raises(CheckpointError, match=r"step-00000002: it was renamed: its manifest is of step 1"):
        Store(run).latest(lambda message: None)


def test_an_empty_folder_and_a_file_are_no_checkpoints(run: Path) -> None:
    for item in newest(run).iterdir():
        item.unlink()
    assert "MANIFEST.json is missing" in falls_back(run)
    newest(run).rmdir()
    newest(run).write_text("")
    assert "not a folder" in falls_back(run)


def test_a_manifest_that_names_a_path_is_refused_even_with_a_right_sha256(run: Path) -> None:
    outside = run / "checkpoints/secret.json"
    outside.write_bytes(b"{}")
    whole = Manifest.model_construct(
        format=1, mmx="", step=2, score=None, recipe="", files={"../secret.json": Record.of(b"{}")}
    )
    (newest(run) / "MANIFEST.json").write_bytes(whole.encode())
    assert "not valid" in falls_back(run)


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused(run: Path, name: str) -> None:
    path = newest(run) / name
    elsewhere = run / f"elsewhere-{name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert f"{name} cannot be read" in falls_back(run)


def test_a_linked_folder_is_refused(run: Path) -> None:
    newest(run).rename(run / "elsewhere")
    newest(run).symlink_to(run / "elsewhere")
    assert "not a folder" in falls_back(run)


@pytest.mark.parametrize("name", ["MANIFEST.json", "model.safetensors"])
def test_a_pipe_is_refused_and_not_waited_for(run: Path, name: str) -> None:
    (newest(run) / name).unlink()
    os.mkfifo(newest(run) / name)
    assert "not a regular file" in falls_back(run)


def test_content_that_does_not_parse_is_refused_though_its_sha256_is_right(run: Path) -> None:
    store = Store(run, keep_last=9)
    for step, files in (
        (3, {"model.safetensors": b"\xff" * 40}),
        (4, {"state.json": b"[" * 90_000}),
        (5, {"state.json": b"[]"}),
    ):
        store.write(step, {name: Content.of(data) for name, data in files.items()})
    said: list[str] = []
    loaded = store.latest(said.append)
    assert loaded is not None and loaded.manifest.step == 2
    assert len(said) == 4 and "safetensors" in said[2] and "nested" in said[1] and "JSON object" in said[0]


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "state.json", "MANIFEST.json", "optimizer.pkl"])
def test_a_pickle_is_never_unpickled(run: Path, name: str) -> None:
    (newest(run) / name).write_bytes(pickle.dumps(Trap(run / "sprung")))
    loaded = Store(run).latest(lambda message: None)
    assert loaded is not None and loaded.manifest.step == (1 if name in FILES else 2)
    assert not (run / "sprung").exists()


def test_a_file_that_is_not_in_the_manifest_is_never_opened(run: Path) -> None:
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open":
            opened.append(str(arguments[0]))

    (newest(run) / "model.pt").write_bytes(b"")
    sys.addaudithook(watch)
    loaded = Store(run).latest(pytest.fail)
    watching = False
    assert loaded is not None and loaded.manifest.step == 2
    assert any(path.endswith("model.safetensors") for path in opened), "the watch works"
    assert not any(path.endswith("model.pt") for path in opened)


def test_no_good_checkpoint_is_an_error_that_names_each(run: Path) -> None:
    (newest(run) / "state.json").unlink()
    (run / "checkpoints/step-00000001/MANIFEST.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        Store(run).latest(lambda message: None)
    assert "step-00000002: state.json is missing" in str(caught.value)
    assert "step-00000001: MANIFEST.json is missing" in str(caught.value)
    assert caught.value.exit_code == 5


def test_only_set_aside_ones_are_an_error_too(run: Path) -> None:
    for step in (1, 2):
        (run / f"checkpoints/step-0000000{step}").rename(run / f"checkpoints/rejected-step-0000000{step}")
    with pytest.raises(CheckpointError, match="rejected-step-00000001: set aside earlier"):
        Store(run).latest(pytest.fail)


def test_reading_one_bad_checkpoint_says_why(run: Path) -> None:
    (newest(run) / "state.json").write_bytes(b"{}")
    with pytest.raises(InvalidCheckpointError, match=r"step-00000002 cannot be used: state.json was cut short"):
        Store(run).read(newest(run))


def test_the_best_is_a_good_one(run: Path) -> None:
    store = Store(run, keep_last=9)
    for step, score in ((3, 0.9), (4, 0.8)):
        store.save(step, {"model": {"weight": torch.ones(2)}}, {}, score)
    (run / "checkpoints/step-00000003/model.safetensors").unlink()
    assert Store(run).best() == run / "checkpoints/step-00000004"
