"""One file that opens offline, says what was measured, and survives whatever the folder lacks."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from mmx.evaluate.results import write_result
from mmx.parts.evaluator import Number, Picture, Record, Result, Table
from mmx_report.page import write_report

if TYPE_CHECKING:
    from tests.plugins.report.conftest import Made

VOID = {"meta", "img", "rect", "path", "circle", "br", "link"}


class Page(HTMLParser):
    """Elements with their attributes, the text, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_the_headline_has_interval_chance_and_count(folder: Path) -> None:
    text = read(folder).text
    assert "unseen artist: top1 25.0 % 95 % interval 22.5 to 27.5 % chance 0.05 %" in text
    assert "on 1,607 samples" in text
    assert "finished at step 40 of 40" in text


def test_a_headline_near_chance_is_not_praised(made: Made) -> None:
    assert "times chance" in read(made.path).text
    made.evaluate(60, 1 / 1906)
    assert "times chance" not in read(made.path).text


def test_every_number_is_in_the_table_with_its_help(folder: Path) -> None:
    text = read(folder).text
    assert "top5 among the five best 50.0 % 47.5 to 52.5 % 0.26 % 1,607" in text
    assert "median_rank 4 1,607" in text


def test_the_facts_come_from_recipe_metrics_and_environment(folder: Path) -> None:
    text = read(folder).text
    for fact in (
        "image encoder vit",
        "losses clip",
        "parameters 1.23 M (1 M trained)",
        "time 2 min 33 s",
        "torch 2.13.0",
    ):
        assert fact in text


def test_what_became_of_each_source_is_told(made: Made) -> None:
    for at in (50, 60):
        counts = {"cc3m": {"trained": 300, "skipped": 1}, "own": {"trained": 100, "skipped": 0}}
        made.add(made.step(at, skipped=at // 25, sources=counts))
    made.add({"kind": "run", "start": 60, "step": 60, "steps": 80, "left_out": {"sources.cc3m.keep.min_side": 1234}})
    text = read(made.path).text
    assert "samples trained on cc3m 600 (75.0 %), own 200 (25.0 %)" in text
    assert "bad samples skipped 2 (cc3m 2)" in text
    assert "left out by filters sources.cc3m.keep.min_side 1,234" in text


def test_the_commands_are_those_that_work(made: Made) -> None:
    text = read(made.path).text
    assert "mmx run --resume" not in text and "mmx eval" not in text and "first/resolved.toml" in text
    with (made.path / "resolved.toml").open("a") as recipe:
        recipe.write("[evaluators.unseen_artist]\nname = 'zeroshot'\n")
    made.add({"kind": "end", "status": "stopped", "reason": "received SIGTERM", "step": 40, "seconds": 153.0})
    text = read(made.path).text
    assert f"mmx run --resume {made.path}" in text and f"mmx eval {made.path}" in text


def test_nothing_is_fetched_and_nothing_runs(folder: Path) -> None:
    html = write_report(folder).read_text()
    page = Page(html)
    assert page.every("script") == page.every("link") == page.every("iframe") == []
    policy = next(meta["content"] for meta in page.every("meta") if meta.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.every("img"))
    assert not re.search(r"""(?:https?:)?//[a-z]|url\(|@import|\bon\w+=""", html)


def test_every_chart_and_picture_has_a_text(folder: Path) -> None:
    page = read(folder)
    charts = page.every("svg")
    assert len(charts) == 7
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    labels = " ".join(chart["aria-label"] or "" for chart in charts)
    assert "Loss over steps. From 4 at step 10 to" in labels
    assert "top1 10 % at step 20 to 25 % at step 40." in labels
    assert [image["alt"] for image in page.every("img")] == ["cat"]


def test_a_picture_shows_truth_rank_and_guesses(folder: Path) -> None:
    page = read(folder)
    assert "cat ✗ true name ranks 2 dog 0.310 cat 0.300 cow -0.100" in page.text
    assert [item.get("class") for item in page.every("li") if "style" in item] == [None, "true", None]


def test_names_from_data_are_escaped(made: Made) -> None:
    evil = '<script>alert("x")</script>&\'<img src=x onerror=y>'
    folder = made.path
    made.evaluate(60, 0.3, name=evil)
    (folder / "resolved.toml").write_text(f"name = '''{evil}'''\n")
    (folder / "env.json").write_text(json.dumps({evil: evil}))
    made.add(made.step(70, parts={evil: 1.0, "b": 2.0}), {"kind": "end", "status": evil})
    page = read(folder)
    assert page.every("script") == []
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert evil in page.text
    assert [image["alt"] for image in page.every("img")] == [evil]


@pytest.mark.parametrize("name", ["metrics.jsonl", "resolved.toml", "env.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    text = read(folder).text
    assert f"Not in this report {name}: No such file or directory" in text
    assert "25.0 %" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", '{"kind": "step", "st\n[1]\n{"kind": "evaluation"}\n{"kind": "step"}\n'),
        ("resolved.toml", "= nonsense"),
        ("env.json", "[1, 2]"),
    ],
)
def test_a_broken_file_is_named(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    assert f"Not in this report {name}" in read(folder).text


def test_broken_evaluations_are_named_and_the_numbers_stay(folder: Path) -> None:
    for path in folder.glob("evaluations/*/*.json"):
        path.write_text("{")
    text = read(folder).text
    assert "unseen_artist.json is not a stored evaluation" in text
    assert "25.0 %" in text


def test_an_empty_folder_has_a_report(tmp_path: Path) -> None:
    text = read(tmp_path).text
    assert "no steps yet" in text
    assert "There is no evaluation in this run folder yet." in text


def test_a_run_that_goes_on_shows_its_last_loss(folder: Path) -> None:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join(lines[:3]) + "\n")
    (folder / "status.json").write_text('{"status": "running", "step": 20}')
    for path in folder.glob("evaluations/*/*"):
        path.unlink()
    text = read(folder).text
    assert "running at step 20 of 40" in text
    assert "loss of the last step 3" in text


def test_a_resumed_run_forgets_the_steps_it_took_twice(made: Made) -> None:
    again = {"kind": "run", "start": 20, "step": 20, "steps": 40}
    made.add(again, made.step(30, loss=1.25))
    page = read(made.path)
    labels = " ".join(chart["aria-label"] or "" for chart in page.every("svg"))
    assert "at step 30." in labels and "at step 40" not in labels.split("unseen_artist")[0]
    assert "running at step 30" in page.text


def test_numbers_that_are_not_finite_leave_gaps(made: Made) -> None:
    made.add(made.step(50, loss=float("nan")), made.step(60, loss=None))
    number = {"value": None, "low": None, "high": None, "chance": 0.1, "count": 3, "help": ""}
    row = {"kind": "evaluation", "step": 60, "evaluator": "odd", "headline": "top1", "numbers": {"top1": number}}
    made.add(row)
    html = write_report(made.path).read_text()
    assert not re.search(r'd="[^"]*(nan|inf)', html)
    assert "Not in this report" not in html


def test_a_long_run_stays_small(made: Made) -> None:
    made.add(*(made.step(at, loss=2.0 + at % 7) for at in range(50, 50_000)))
    path = write_report(made.path)
    assert path.stat().st_size < 600_000
    assert "at step 49,999." in path.read_text()


def test_the_report_replaces_the_last_one_and_leaves_nothing_else(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    assert write_report(folder) == write_report(folder) == folder / "report.html"
    assert {path.name for path in folder.iterdir()} == before | {"report.html"}


def _add(made: Made, step: int, value: float, measured: str) -> None:
    number = {"value": value, "low": None, "high": None, "chance": 0.1, "count": 9, "help": ""}
    row = {"kind": "evaluation", "step": step, "evaluator": "birds", "headline": "top1", "numbers": {"top1": number}}
    made.add({**row, "measured": measured, "file": f"evaluations/step-{step:08d}/birds.json"})


def test_no_curve_joins_numbers_of_different_things(made: Made) -> None:
    for step, value, measured in ((10, 0.1, "aaaaaaaa11"), (20, 0.2, "bbbbbbbb22"), (30, 0.3, "bbbbbbbb22")):
        _add(made, step, value, measured)
    labels = [
        svg["aria-label"] or "" for svg in read(made.path).every("svg") if "birds" in (svg.get("aria-label") or "")
    ]
    assert len(labels) == 2
    assert labels[0].startswith("birds over") and "at step 20 to 30 % at step 30" in labels[0]
    assert labels[1].startswith("birds (aaaaaaaa) over") and "at step 10 to 10 % at step 10" in labels[1]


def test_an_evaluator_brings_tables_and_pictures_of_its_own(made: Made) -> None:
    png = io.BytesIO()
    Image.new("RGB", (400, 20)).save(png, "PNG")
    record = Record("0" * 64, {"name": "birds"}, {"samples": 9}, {"templates": ["a {}"]}, {"mmx": "1"})
    table = Table(("who", "when", "share"), [("<b>", None, 0.5), (True, 3, None)], "what <i> it shows")
    result = Result(
        "top1",
        {"top1": Number(0.3)},
        {"odd": table, "long": Table(("n",), [(n,) for n in range(5_001)])},
        {"drawn": [Picture("plot", png.getvalue(), caption="a <plot>")]},
        record=record,
    )
    write_result(made.path / "evaluations" / "step-00000030", "birds", result)
    _add(made, 30, 0.3, "bbbbbbbb22")
    page = read(made.path)
    assert "what <i> it shows" in page.text and "True" in page.text and "a <plot>" in page.text
    assert "the first 5,000 of 5,001 rows" in page.text
    assert "birds: what was measured" in page.text and "about.templates" in page.text
    assert "shot wide" in [item.get("class") for item in page.every("li")]
    drawn = write_report(made.path).read_text(encoding="utf-8").partition("shot wide")[2].partition("</li>")[0]
    assert "truth" not in drawn and "guesses" not in drawn
