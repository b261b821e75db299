"""Grids of pictures with the names a model gave them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final

from mmx.parts.evaluator import Guess, Picture

MOST: Final = 60
"""Pictures of a grid that are shown."""
TITLES: Final = {
    "sample": ("Test pictures", "as the model saw them, with its best names and their scores; the true name is green"),
    "nearest_wrong": ("Nearest wrong", "wrong answers where the true name came closest"),
}


def picture_grid(name: str, pictures: Sequence[Picture]) -> str:
    """Return a section with a grid of pictures; a grid without a known title gets its own name."""
    title, help = TITLES.get(
        name, (name.replace("_", " ").capitalize(), "pictures with the best names and their scores")
    )
    more = f" ({MOST} of {len(pictures)} shown)" if len(pictures) > MOST else ""
    shots = "".join(_shot(picture) for picture in pictures[:MOST])
    return f'<section><h2>{escape(title)}</h2><p>{escape(help)}{more}</p><ul class="shots">{shots}</ul></section>'


def _shot(picture: Picture) -> str:
    right = picture.rank == 1
    said = "✓ right" if right else f"✗ true name ranks {picture.rank:,}"
    source = f"data:image/png;base64,{b64encode(picture.png).decode()}"
    image = f'<img src="{source}" alt="{escape(picture.truth)}" title="{escape(picture.key)}" loading="lazy">'
    guesses = "".join(_guess(guess, picture) for guess in picture.guesses)
    return (
        f'<li class="shot{" right" if right else ""}">{image}'
        f'<div class="truth">{escape(picture.truth)}<small>{said}</small></div>'
        f'<ol class="guesses">{guesses}</ol></li>'
    )


def _guess(guess: Guess, picture: Picture) -> str:
    scores = [other.score for other in picture.guesses]
    low = min(0.0, *scores)
    width = 100 * (guess.score - low) / ((max(scores) - low) or 1.0)
    kind = ' class="true"' if guess.name == picture.truth else ""
    return (
        f'<li{kind} style="--w:{width:.0f}%" title="{escape(guess.name)}"><span>{escape(guess.name)}</span>'
        f"<span>{guess.score:.3f}</span></li>"
    )
