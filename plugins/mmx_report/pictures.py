"""Grids of pictures with the names a model gave them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final

from mmx.parts.evaluator import Guess, Picture

MOST: Final = 60
"""Pictures of a grid that are shown."""
WIDE: Final = 200
"""Pixels; a picture that is wider is no thumbnail, and has a row for itself."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
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
    said = "" if picture.rank is None else "✓ right" if right else f"✗ true name ranks {picture.rank:,}"
    kind = " ".join(["shot", *(["right"] if right else []), *(["wide"] if _width(picture.png) > WIDE else [])])
    caption = f'<p class="caption">{escape(picture.caption)}</p>' if picture.caption else ""
    source = f"data:image/png;base64,{b64encode(picture.png).decode()}"
    alt = picture.truth or picture.caption or picture.key
    image = f'<img src="{source}" alt="{escape(alt)}" title="{escape(picture.key)}" loading="lazy">'
    truth = f'<div class="truth">{escape(picture.truth)}<small>{said}</small></div>' if picture.truth or said else ""
    guesses = "".join(_guess(guess, picture) for guess in picture.guesses)
    listed = f'<ol class="guesses">{guesses}</ol>' if guesses else ""
    return f'<li class="{kind}">{image}{caption}{truth}{listed}</li>'


def _width(png: bytes) -> int:
    """Return the width that a PNG file's header says; 0 where it has none."""
    return int.from_bytes(png[16:20], "big") if png.startswith(_PNG) and len(png) >= 24 else 0


def _guess(guess: Guess, picture: Picture) -> str:
    scores = [other.score for other in picture.guesses]
    low = min(0.0, *scores)
    width = 100 * (guess.score - low) / ((max(scores) - low) or 1.0)
    kind = ' class="true"' if guess.name == picture.truth else ""
    return (
        f'<li{kind} style="--w:{width:.0f}%" title="{escape(guess.name)}"><span>{escape(guess.name)}</span>'
        f"<span>{guess.score:.3f}</span></li>"
    )
