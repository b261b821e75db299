"""Runs whose sources take turns: pairs, pictures alone and captions alone."""

from pathlib import Path
from typing import Any

import pytest

from mmx.data.loader import stream
from mmx.errors import DataError, MmxError, RecipeError
from mmx.parts.dataset import Sample
from mmx.runs.ledger import digest
from mmx.runs.lines import read_lines
from mmx.train.session import Session
from mmx_toy.data import ToyPictures
from mmx_toy.proof import entries, final
from mmx_toy.start import crash, sit, start

SOURCES = (
    "data.sources.pairs.name='toy'",
    "data.sources.drawn.name='toy'",
    "data.sources.drawn.samples_are='images'",
    "data.sources.said.name='toy'",
    "data.sources.said.samples_are='texts'",
)
TURNS = (
    *SOURCES,
    "data.turns.pairs.weight=2",
    "data.turns.drawn.batch=4",
    "data.turns.said.batch=8",
    "data.images.alone={ name = 'toy', sources = ['drawn'] }",
    "data.images.clean.sources=['pairs']",
    "data.texts.clean.sources=['pairs']",
    "data.texts.alone={ name = 'toy', sources = ['said'] }",
    "losses.drawn={ name = 'length', image = 'alone', weight = 0.1 }",
    "losses.said={ name = 'length', text = 'alone', weight = 0.1 }",
    "train.steps=16",
)
OF = {"pairs": ({"clean"}, {"clean"}), "drawn": ({"alone"}, set[str]()), "said": (set[str](), {"alone"})}


def without(*keys: str) -> tuple[str, ...]:
    """Return the options of a run in turns, less those of some tables."""
    return tuple(option for option in TURNS if not option.startswith(keys))


def turned(out: Path) -> Session:
    return sit(out, *TURNS, unset=("data.train",))[0]


def refusal(out: Path, *overrides: str) -> str:
    with pytest.raises(MmxError) as caught:
        sit(out, *overrides, unset=("data.train",))
    assert isinstance(caught.value, RecipeError | DataError)
    return str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_step_has_one_turns_samples_and_the_views_that_these_have(tmp_path: Path, workers: int) -> None:
    plan, seen = turned(tmp_path).experiment, set[str]()
    for step, loaded in enumerate(stream(plan.reader, plan.order, 0, 12, workers, pin=False)):
        (source,) = {key.partition("/")[0] for key in loaded.batch.keys}
        assert (set(loaded.batch.images), set(loaded.batch.texts)) == OF[source]
        assert len(loaded.batch.keys) == plan.order.rows(step) == {"pairs": 6, "drawn": 4, "said": 8}[source]
        seen.add(source)
    assert seen == set(OF)


def test_captions_alone_need_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []

    def read_texts(self: ToyPictures, index: int) -> Sample:
        read.append(self.config.samples_are)
        return Sample(self.key(index), None, ("words",))

    monkeypatch.setattr(ToyPictures, "read_texts", read_texts)
    plan = turned(tmp_path).experiment
    list(stream(plan.reader, plan.order, 0, 8, 0, pin=False))
    assert read == ["texts"] * 16


def test_a_resumed_run_is_the_unbroken_one_and_the_ledger_has_its_order(tmp_path: Path) -> None:
    start(tmp_path / "whole", *TURNS, unset=("data.train",))
    path = crash(tmp_path / "broken", 7, *TURNS, unset=("data.train",))
    start(tmp_path / "broken", recipe=None, resume=str(path))
    assert entries(path) == entries(tmp_path / "whole" / "run") and final(path) == final(tmp_path / "whole" / "run")
    plan = turned(tmp_path / "other").experiment
    for entry in entries(path):
        keys = [plan.reader.dataset.key(ticket.index) for ticket in plan.order.tickets(entry.step - 1)]
        assert (entry.digest, entry.rows) == (digest(keys), plan.order.rows(entry.step - 1))
        assert (entry.epoch, entry.start) == plan.order.place(entry.step - 1)


def test_losses_whose_views_a_step_has_not_are_not_computed(tmp_path: Path) -> None:
    start(tmp_path, *TURNS, unset=("data.train",))
    rows = [row for row in read_lines(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "step"]
    assert [set(row["parts"]) for row in rows[:4]].count({"match"}) == 2
    assert {"drawn", "said"} == {name for row in rows[:4] for name in row["parts"] if name != "match"}
    counted = [row["sources"] for row in rows]
    assert sum(row["said"]["trained"] for row in counted) == 4 * 8 and all(len(row) == 3 for row in counted)


def test_bad_samples_count_for_their_epoch(tmp_path: Path) -> None:
    bad = ("data.sources.said.bad=[1, 2]", "data.bad_samples=0.1", "train.steps=40")
    start(tmp_path, *TURNS, *bad, unset=("data.train",))
    skipped = {key for entry in entries(tmp_path / "run") for key in entry.skipped}
    assert skipped == {"said/toy-0001", "said/toy-0002"}


def test_micro_batches_must_divide_each_turn(tmp_path: Path) -> None:
    assert "should divide data.turns.drawn.batch = 4" in refusal(tmp_path, *TURNS, "train.micro_batches=3")
    start(tmp_path / "two", *TURNS, "train.micro_batches=2", "train.ema=0.0", unset=("data.train",))


@pytest.mark.parametrize(
    ("changes", "left", "found"),
    [
        (("data.turns.nothing.weight=1",), (), "there is no [data.sources.nothing] (sources: pairs, drawn, said)"),
        ((), ("data.turns.said",), "the source 'said' has no turn: add [data.turns.said], or name it in one"),
        (("data.turns.more.sources=['said']",), (), "the source 'said' has another turn too; each source has one"),
        (("data.images.alone.sources=['said']",), (), "samples of the source 'said' have no pictures"),
        (("data.images.alone.sources=['x']",), (), "there is no [data.sources.x]"),
        (
            ("losses.said.image='alone'",),
            (),
            "losses.said can never be computed: no source has all views that it reads",
        ),
        ((), ("losses.said",), "data.turns.said: no loss can be computed on its samples"),
        (("data.turns.said.batch=88",), (), "data.turns.said: data.batch = 88 is more than the 44 training samples"),
        (("data.texts.alone.picture=1",), (), "is not for [data.texts]: captions are chosen by their role"),
    ],
)
def test_what_cannot_be_is_refused(changes: tuple[str, ...], left: tuple[str, ...], found: str, tmp_path: Path) -> None:
    options = without(*left) if left else TURNS
    assert found in refusal(tmp_path, *options, *changes)


def test_a_view_of_some_rows_only_is_refused(tmp_path: Path) -> None:
    assert "are mixed in each step: all rows of a step have the same views" in refusal(tmp_path, *SOURCES)
    together = (*without("data.turns.pairs", "data.turns.said"), "data.turns.both.sources=['pairs', 'said']")
    assert "share the turn 'both'" in refusal(tmp_path, *together)


def test_views_without_sources_are_of_all_that_have_what_they_need(tmp_path: Path) -> None:
    options = (*without("data.images", "data.texts"), "data.images.alone.name='toy'", "data.texts.alone.name='toy'")
    plan = sit(tmp_path, *options, unset=("data.train",))[0].experiment
    assert {name: view.sources for name, view in plan.reader.images.items()} == dict.fromkeys(
        ("clean", "alone"), ("pairs", "drawn")
    )
    assert plan.reader.texts["clean"].sources == ("pairs", "said")
