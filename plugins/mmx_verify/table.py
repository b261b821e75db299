"""What came of the layouts, as text within 80 columns, and as plain values for a document. Never imports torch."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mmx.recipe.schema import Recipe
from mmx.recipe.write import literal
from mmx.wording import counted
from mmx_verify.plan import Trial

if TYPE_CHECKING:  # they import torch
    from mmx_verify.compare import Bounds, Comparison, Gap
    from mmx_verify.run import Exact, Reference, Row

WIDTH: Final = 80
COLUMN: Final = 20
"""Of the layouts' names."""
_KINDS: Final = ("loss", "gradients", "weights")


def what(recipe: Recipe, parameters: int) -> str:
    """Say what is run."""
    return _wrapped(
        f"{recipe.name}, its tiny form: {counted(recipe.train.steps or 0, 'step')} of {recipe.data.batch} made-up "
        f"samples, {counted(parameters, 'parameter')}, {recipe.optim.name}" + _eps(recipe)
    )


def _eps(recipe: Recipe) -> str:
    eps: object = getattr(recipe.optim, "eps", None)
    if not isinstance(eps, float):
        return ""
    return f" with eps = {eps:g}, so that rounding in a gradient near zero does not decide the sign of a step"


def losses(reference: Reference) -> str:
    """Write the loss of one process at each step."""
    shown = ", ".join(f"{loss:.6g}" for loss in reference.outcome.losses)
    return _wrapped(f"loss of one process, {reference.precision}: {shown} ({reference.seconds:.1f} s)")


def heading() -> str:
    """Return the two lines above the rows."""
    return (
        f"{'':{COLUMN}} {'processes x':>13}   largest relative difference\n"
        f"{'layout':{COLUMN}} {'micro-batches':>13} {'loss':>8} {'gradients':>9} {'weights':>8}           {'time':>6}"
    )


def bound(precision: str, bounds: Bounds) -> str:
    """Return the line above the rows of a precision."""
    return f"{f'{precision}, at most':{COLUMN}} {'':13} {bounds.loss:>8g} {bounds.gradients:>9g} {bounds.weights:>8g}"


def lines(row: Row, told: dict[str, str] | None = None) -> str:
    """Write what came of a layout; under it, where the gradients are furthest off, or what is wrong.

    Args:
        row: what came of it.
        told: the layouts whose reasons were written in full, by reason; the same reason is not written again.
    """
    head = f"{_name(row.trial)} {f'{row.trial.processes} x {row.trial.micro_batches}':>13}"
    if row.comparison is None:
        before = row.trial.name if told is None else told.setdefault(row.reason, row.trial.name)
        if before != row.trial.name:
            return f"{head}  {row.result}, as {before}"
        return "\n".join([f"{head}  {row.result}:", *_pieces(row.reason)])
    found = row.comparison
    gaps = f"{_short(found.loss, 8)} {_short(found.gradients, 9)} {_short(found.weights, 8)}"
    notes = [line for note in (*_notes(row, found), *_exact(row, found)) for line in _pieces(note)]
    return "\n".join([f"{head} {gaps}  {row.result:<7} {row.seconds:>5.1f} s", *notes])


def summary(rows: Sequence[Row]) -> str:
    """Count the results: ``11 equal, 2 refused``."""
    words = ("equal", "refused", "DIFFERS", "failed")
    counts = {word: sum(row.result == word for row in rows) for word in words}
    named = {"DIFFERS": ("DIFFERS", "DIFFER")}
    return ", ".join(f"{n} {named.get(word, (word, word))[n > 1]}" for word, n in counts.items() if n)


def at_size(refused: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Say which layouts that hold in the tiny form the recipe at its own size refuses; nothing where there are none."""
    held = {row.trial.name for row in rows if row.result != "refused"}
    reasons: dict[str, list[str]] = {}
    for name, reason in refused.items():
        if name in held:
            reasons.setdefault(reason, []).append(name)
    found = [line for why, names in reasons.items() for line in _pieces(f"{', '.join(names)}: {why}")]
    return "\n".join(["the recipe at its own size refuses", *found]) if found else ""


def listing(known: Sequence[Trial]) -> str:
    """Write the layouts there are, each with the table that a recipe would have for it."""
    rows = [f"{'layout':{COLUMN}} processes x micro-batches"]
    for trial in known:
        rows.append(f"{_name(trial)} {trial.processes} x {trial.micro_batches}")
        rows += _pieces(", ".join(f"{key} = {literal(value)}" for key, value in _options(trial).items()))
    return "\n".join(rows)


def plain_trial(trial: Trial) -> dict[str, Any]:
    """Return a layout as plain values."""
    return {
        "layout": trial.name,
        "processes": trial.processes,
        "micro_batches": trial.micro_batches,
        "precision": trial.precision,
        "options": _options(trial),
    }


def plain_reference(reference: Reference) -> dict[str, Any]:
    """Return what came of one process as plain values."""
    found = reference.outcome
    return {"engine": found.describes, "losses": _finite(found.losses), "seconds": reference.seconds}


def plain_row(row: Row) -> dict[str, Any]:
    """Return what came of a layout as plain values. Numbers that are not finite are texts: "inf", "nan"."""
    found: dict[str, Any] = {"result": row.result, "seconds": row.seconds}
    if row.outcome is not None and row.comparison is not None:
        found |= {"engine": row.outcome.describes, "losses": _finite(row.outcome.losses)}
        found |= _plain_gaps(row.comparison)
        if row.exact is not None:
            found["fp64"] = _plain_exact(row.exact)
    else:
        found |= {"reason": row.reason, "traceback": row.traceback}
    return {**plain_trial(row.trial), **found}


def _plain_gaps(found: Comparison) -> dict[str, Any]:
    gaps: dict[str, Gap] = {key: getattr(found, key) for key in _KINDS}
    return {
        key: {**asdict(gap), "value": _number(gap.value), "bound": getattr(found.bounds, key)}
        for key, gap in gaps.items()
    }


def _plain_exact(exact: Exact) -> dict[str, Any]:
    gaps = {"reason": exact.reason} if exact.comparison is None else _plain_gaps(exact.comparison)
    return {"seconds": exact.seconds, **gaps}


def _options(trial: Trial) -> dict[str, Any]:
    return {"engine": trial.engine.name, **trial.options}


def _notes(row: Row, found: Comparison) -> Iterator[str]:
    """Say which gradient is furthest off and, of what else is too far off where they differ, which is."""
    for key in ("gradients", "weights", "loss"):
        gap: Gap = getattr(found, key)
        if gap.value and (key == "gradients" or (key in found.beyond and not row.good)):
            what = f"{key.removesuffix('s') if gap.name else key} {gap.name}".strip()
            yield f"{what}{f' at step {gap.step}' if gap.step else ''}{f': {gap.why}' if gap.why else ''}"


def _exact(row: Row, found: Comparison) -> Iterator[str]:
    """Say what came of it in fp64."""
    if row.exact is None:
        return
    exact = row.exact.comparison
    if exact is None:
        yield f"in fp64, which tells rounding from errors, it cannot run: {row.exact.reason}"
    elif exact.equal:
        yield f"rounding in fp32 came to {_digits(found.largest)} here; in fp64 it is equal to {_digits(exact.largest)}"
    else:
        gaps = ", ".join(f"{key} {_digits(getattr(exact, key).value)}" for key in _KINDS)
        yield f"in fp64 too: {gaps}; at most {exact.bounds.gradients:g}"


def _name(trial: Trial) -> str:
    """Write a layout's name; a long one has a line of its own."""
    return f"{trial.name:{COLUMN}}" if len(trial.name) <= COLUMN else f"{trial.name}\n{'':{COLUMN}}"


def _short(gap: Gap, width: int) -> str:
    return f"{_digits(gap.value):>{width}}"


def _digits(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def _finite(values: Sequence[float]) -> list[float | str]:
    return [_number(value) for value in values]


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _pieces(text: str) -> list[str]:
    """Return the lines of what stands under a row."""
    return [
        piece
        for line in text.splitlines()
        for piece in textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    ]
