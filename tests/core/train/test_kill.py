"""SIGKILL at random moments: every run that is killed and resumed ends bit for bit like one that was not.

Shuffling, augmentation, dropout, an average of the weights, a queue in the loss and optimizer moments are all on;
evaluations draw from the global generator. CPU, fp32, one thread, the same number of processes throughout.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mmx.runs.ledger import Entry
from mmx_toy.campaign import BATCH, PER_EPOCH, STEPS, Kill, Trial, attack, judge, unbroken
from mmx_toy.proof import Final

RUNS = 10


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return unbroken(tmp_path_factory.mktemp("unbroken"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_runs_killed_twice_each_end_like_the_unbroken_one(reference: Trial, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        trials = list(both.map(lambda run: attack(tmp_path / f"{run}", workers=run % 2 * 2, seed=run), range(RUNS)))
    verdict = judge(trials, reference)
    print(verdict)
    assert verdict.problems == ()
    assert (verdict.equal, verdict.runs, verdict.lost, verdict.repeated) == (RUNS, RUNS, 0, 0)
    assert verdict.kills == 2 * RUNS and verdict.saving >= RUNS * 2 / 5
    assert {trial.workers for trial in trials} == {0, 2}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("naive", "found"),
    [
        ("order", "other samples than the unbroken run"),
        ("random", "the final state differs"),
        ("save", "exit code 5: .*cannot be used"),
    ],
)
def test_a_naive_trainer_fails(naive: str, found: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        whole = both.submit(unbroken, tmp_path / "unbroken", naive)
        verdict = judge([attack(tmp_path / "killed", workers=0, seed=3, naive=naive)], whole.result())
    assert verdict.equal == 0
    assert any(re.search(found, problem, re.DOTALL) for problem in verdict.problems), verdict.problems


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_that_come_too_late_prove_nothing(reference: Trial, tmp_path: Path) -> None:
    verdict = judge([attack(tmp_path, workers=0, seed=0, late=True)], reference)
    assert "2 of 2 kills missed" in verdict.problems and verdict.equal == 1


def whole_run() -> Trial:
    """A made-up run without fault, killed twice."""
    rows = [
        Entry(step + 1, step // PER_EPOCH, step % PER_EPOCH * BATCH, BATCH, f"digest {step}", (), step / 3)
        for step in range(STEPS)
    ]
    kills = [Kill(10, hit=True, saving=True), Kill(30, hit=True, saving=False)]
    return Trial(0, kills, [0, 9, 27], [*rows[:10], *rows], rows, Final(STEPS, {"model": "a"}, {}))


def test_the_judge_accepts_a_faultless_campaign() -> None:
    verdict = judge([whole_run()] * 3, whole_run())
    assert verdict.problems == () and verdict.equal == 3 and (verdict.lost, verdict.repeated) == (0, 0)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ({"kills": [Kill(10, True, True), Kill(48, False, False)]}, "1 of 2 kills missed"),
        ({"kills": [Kill(10, True, True)]}, "kills missed"),
        ({"kills": [Kill(10, True, False)] * 2}, "only 0 of 2 kills came while a checkpoint was written"),
        ({"starts": [0, 0, 27]}, "only 1 of 2 restarts went on from a checkpoint"),
        ({"starts": [0]}, "only 0 of 2 restarts went on from a checkpoint"),
        ({"final": Final(STEPS, {"model": "b"}, {})}, "the final state differs"),
        ({"final": Final(STEPS, {"model": "a"}, {"skipped": 1})}, "the final state differs"),
        ({"final": None, "trouble": "exit code 5"}, "exit code 5"),
        ({"entries": whole_run().entries[:-1]}, "6 samples lost, 0 repeated"),
        ({"entries": [*whole_run().entries, whole_run().entries[3]]}, "0 samples lost, 6 repeated"),
        ({"replayed": [replace(whole_run().entries[5], digest="other")]}, r"other samples .* \[6\]"),
        ({"replayed": [replace(whole_run().entries[5], loss=0.1)]}, r"another loss or place at steps \[6\]"),
    ],
)
def test_the_judge_notices_each_fault(fault: dict[str, object], found: str) -> None:
    verdict = judge([replace(whole_run(), **fault)], whole_run())  # pyright: ignore[reportArgumentType]
    assert any(re.search(found, problem) for problem in verdict.problems), verdict.problems
