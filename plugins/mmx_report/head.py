"""The top of a report: the headline, the numbers beside it, and the facts of the run."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import cast

from mmx import wording
from mmx.parts.evaluator import Number
from mmx_report.curves import last_numbers
from mmx_report.data import Evaluation, Record, Story, table


def status(story: Story) -> str:
    """Return the title line: the run's name and how it ended."""
    found = story.end.get("status")
    said = found if isinstance(found, str) else "running"
    at, steps = story.last("step"), _whole(story.run, "steps")
    place = f" at step {at:,.0f}" + (f" of {steps:,}" if steps else "") if at is not None else ""
    reason = str(story.end.get("reason") or "")
    chip = f'<span class="chip {escape(said.split()[0] if said else "")}">{escape(said + place)}</span>'
    why = f'<span class="chip">{escape(reason)}</span>' if reason else ""
    return f'<header class="top"><h1>{escape(story.folder.name)}</h1>{chip}{why}</header>'


def hero(story: Story) -> str:
    """Return the headline, large, and up to four other numbers beside it."""
    found = next((item for item in last_numbers(story).values() if item.headline in item.numbers), None)
    if found is None:
        return _without_evaluation(story)
    number = found.numbers[found.headline]
    others = [name for name in found.numbers if name != found.headline and wording.chance(found.numbers[name])]
    tiles = "".join(_tile(name, found.numbers[name]) for name in others[:4])
    return f'<div class="hero">{_headline(found, number)}<div class="tiles">{tiles}</div></div>'


def _without_evaluation(story: Story) -> str:
    loss = story.last("loss")
    value = "no steps yet" if loss is None else wording.decimal(loss)
    label = "" if loss is None else "loss of the last step"
    return (
        f'<div class="hero"><div class="card"><div class="label">{label}</div><div class="big">{value}</div>'
        "<p>There is no evaluation in this run folder yet.</p></div></div>"
    )


def _headline(found: Evaluation, number: Number) -> str:
    label = f"{found.evaluator}: {found.headline}".replace("_", " ")
    judged = [("95 % interval", wording.interval(number)), ("chance", wording.chance(number))]
    on = "" if number.count is None else wording.counted(number.count, "sample")
    judged += [("on", on), ("at step", f"{found.step:,}")]
    if number.chance and number.low is not None and number.low >= 2 * number.chance:
        judged.insert(2, ("that is", f"{number.value / number.chance:,.0f} times chance"))
    said = "".join(f'<span class="{name}">{name} <b>{escape(text)}</b></span>' for name, text in judged if text)
    gauge = _gauge(number) if wording.is_fraction(number) else ""
    return (
        f'<div class="card"><div class="label">{escape(label)}</div><div class="big">{wording.value(number)}</div>'
        f'{gauge}<div class="judge">{said}</div><p class="label">{escape(number.help)}</p></div>'
    )


def _gauge(number: Number) -> str:
    low = number.value if number.low is None else number.low
    high = number.value if number.high is None else number.high
    chance = number.chance or 0.0
    label = f"{wording.value(number)} on a scale from 0 to 100 %"
    return (
        f'<svg class="gauge" viewBox="0 0 400 26" role="img" aria-label="{label}">'
        '<rect class="track" x="0" y="8" width="400" height="10" rx="5"/>'
        f'<rect class="fill" x="0" y="8" width="{400 * number.value:.1f}" height="10" rx="5"/>'
        f'<path class="spread" d="M{400 * low:.1f} 4V22M{400 * high:.1f} 4V22M{400 * low:.1f} 13H{400 * high:.1f}"/>'
        f'<path class="chance" d="M{max(1.0, 400 * chance):.1f} 2V24"/></svg>'
    )


def _tile(name: str, number: Number) -> str:
    facts = [wording.interval(number), f"chance {wording.chance(number)}"]
    facts += [wording.counted(number.count, "sample") if number.count is not None else ""]
    said = "".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)
    return (
        f'<div class="card tile"><div class="label">{escape(name.replace("_", " "))}</div>'
        f'<div class="value">{wording.value(number)}</div><p>{said}</p></div>'
    )


def facts(story: Story) -> str:
    """Return what the run was, in short."""
    pairs = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in _facts(story) if text
    )
    return f'<dl class="card facts">{pairs}</dl>' if pairs else ""


def _facts(story: Story) -> list[tuple[str, str]]:
    recipe, run = story.recipe, story.run
    return [
        ("image encoder", _name(recipe, "image_encoder")),
        ("text encoder", _name(recipe, "text_encoder")),
        ("fusion", _name(recipe, "fusion")),
        ("losses", ", ".join(_name(table(recipe, "losses"), key) for key in table(recipe, "losses"))),
        ("parameters", _parameters(run)),
        ("training samples", wording.many(_whole(run, "samples") or 0) if _whole(run, "samples") else ""),
        ("batch", f"{_whole(table(recipe, 'data'), 'batch') or ''}"),
        ("epochs", _last(story, "epoch", "{:.2f}")),
        ("time", wording.duration(_seconds(story)) if _seconds(story) else ""),
        ("images per second", _mean(story, "images_per_second", "{:,.0f}")),
        ("waiting for data", _mean(story, "waited", "{:.1%}").replace("%", " %")),
        ("samples trained on", _sources(story)),
        ("bad samples skipped", _skipped(story)),
        ("left out by filters", ", ".join(f"{key} {count:,}" for key, count in table(story.run, "left_out").items())),
        ("device", str(run.get("device") or "")),
        *versions(story.environment),
    ]


def _sources(story: Story) -> str:
    """Return how many samples of each source were trained on, and their share where there are several."""
    total = sum(trained for trained, _ in story.sources.values())
    if len(story.sources) < 2 or not total:
        return f"{total:,}" if total else ""
    counts = [f"{name} {trained:,} ({trained / total:.1%})" for name, (trained, _) in story.sources.items()]
    return ", ".join(counts).replace("%", " %")


def _skipped(story: Story) -> str:
    by_source = [f"{name} {skipped:,}" for name, (_, skipped) in story.sources.items() if skipped]
    where = f" ({', '.join(by_source)})" if len(story.sources) > 1 and by_source else ""
    return _last(story, "skipped", "{:,.0f}") + where


def versions(environment: Record) -> list[tuple[str, str]]:
    """Return the versions that matter most, wherever the environment has them."""
    flat = dict(flatten(environment))
    known: list[tuple[str, str]] = []
    for name in ("mmx", "torch", "python"):
        found = next((value for key, value in flat.items() if key.rsplit(".", 1)[-1].lower() == name), "")
        known.append((name, found.split()[0] if found else ""))
    return known


def flatten(record: Record, before: str = "") -> list[tuple[str, str]]:
    """Return a nested record as dotted names and values."""
    found: list[tuple[str, str]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += flatten(table(record, name), f"{before}{name}.")
        elif isinstance(value, list):
            found.append((f"{before}{name}", " ".join(map(str, cast(list[object], value)))))
        elif name != "executable":  # where Python lies says nothing to a reader of the report
            found.append((f"{before}{name}", str(value)))
    return found


def _name(recipe: Record, key: str) -> str:
    return str(table(recipe, key).get("name") or "")


def _whole(record: Record, key: str) -> int | None:
    value = record.get(key)
    return value if isinstance(value, int) else None


def _parameters(run: Record) -> str:
    count, trained = _whole(run, "parameters"), _whole(run, "trainable")
    if count is None:
        return ""
    return wording.many(count) + (f" ({wording.many(trained)} trained)" if trained not in (None, count) else "")


def _seconds(story: Story) -> float:
    found = story.end.get("seconds")
    return float(found) if isinstance(found, int | float) else story.last("seconds") or 0.0


def _last(story: Story, name: str, form: str) -> str:
    value = story.last(name)
    return "" if value is None else form.format(value)


def _mean(story: Story, name: str, form: str) -> str:
    values = [point[name] for point in story.steps if name in point]
    return form.format(sum(values) / len(values)) if values else ""
