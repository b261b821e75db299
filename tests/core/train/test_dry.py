"""``--dry-run`` measures, trains nothing and writes nothing."""

import json
from pathlib import Path

import pytest

from mmx.errors import DataError, RecipeError
from mmx_toy.start import start

FACTS = {"recipe", "device", "parameters", "trained", "samples", "batch", "micro_batches", "steps", "epochs"} | {
    *("memory_bytes", "seconds_per_step", "images_per_second", "data_seconds_per_image", "seconds", "measured_rows")
}


def test_it_says_what_a_run_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = start(tmp_path / "runs", dry_run=True)
    text = capsys.readouterr().out
    assert result.exit_code == 0 and set(result.summary) >= FACTS
    assert "3,021, of which 3,021 are trained" in text or "parameters" in text
    assert "18 of 6 images = 2.6 epochs" in text and text.rstrip().endswith("nothing was trained")
    assert all(word in text for word in ("memory", "speed", "time", "44 an epoch"))


def test_it_writes_nothing(tmp_path: Path) -> None:
    start(tmp_path / "runs", dry_run=True)
    assert list(tmp_path.iterdir()) == []


def test_its_numbers_are_plain_and_fit_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = start(tmp_path, "image_encoder.train='frozen'", dry_run=True, json=True).summary
    assert capsys.readouterr().out == "" and json.loads(json.dumps(facts)) == facts
    assert (facts["steps"], facts["batch"], facts["samples"]) == (18, 6, 44)
    assert 0 < facts["trained"] < facts["parameters"]
    assert facts["seconds"] == pytest.approx(18 * facts["seconds_per_step"])
    assert facts["images_per_second"] == pytest.approx(6 / facts["seconds_per_step"])
    # Weights in fp32; their average, gradients and two moments of what is trained.
    assert facts["memory_bytes"] >= 4 * (facts["parameters"] + 4 * facts["trained"])


def test_epochs_become_steps(tmp_path: Path) -> None:
    facts = start(tmp_path, "train.epochs=2.0", unset=["train.steps"], dry_run=True, json=True).summary
    assert facts["steps"] == 14 and facts["epochs"] == 2


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_it_measures_no_more_than_a_micro_batch(pieces: int, tmp_path: Path) -> None:
    facts = start(tmp_path, f"train.micro_batches={pieces}", dry_run=True, json=True).summary
    assert 0 < facts["measured_rows"] <= 6 // pieces


def test_what_would_fail_fails(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the first batch has too few good samples .* has no picture"):
        start(tmp_path, "data.train.blind=true", dry_run=True)
    with pytest.raises(RecipeError, match="it wants images of width 9, and gets 8"):
        start(tmp_path, "fusion.expects=9", dry_run=True)
    assert list(tmp_path.iterdir()) == []
