"""The 1,906 concepts, and which of them are held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "data"
_FLAGS: Final = ("country-flag", "subdivision-flag")


@dataclass(frozen=True)
class Concept:
    """One Unicode emoji; ``code`` is its code points in hex."""

    code: str
    label: str
    flag: bool
    """A national flag: Fluent's are Noto's drawings, so they do not test an unseen artist."""


def read_concepts() -> list[Concept]:
    """Return all concepts, in the order of their labels."""
    rows = json.loads((DATA / "concepts.json").read_text(encoding="utf-8"))
    return [Concept(row["concept"], row["label"], row["subgroup"] in _FLAGS) for row in rows]


def held_out(concepts: Sequence[Concept], share: float, seed: int) -> set[str]:
    """Return the codes of the held-out concepts: those whose hash with the seed is smallest."""
    ranked = sorted(concepts, key=lambda concept: hashlib.sha256(f"{seed}/{concept.code}".encode()).digest())
    return {concept.code for concept in ranked[: round(share * len(concepts))]}


def groups(concepts: Sequence[Concept], held: set[str]) -> dict[str, list[int]]:
    """Return labels by group: the headline's first, then those that are reported apart."""
    labels = range(len(concepts))
    return {
        "trained": [i for i in labels if concepts[i].code not in held and not concepts[i].flag],
        "unseen": [i for i in labels if concepts[i].code in held and not concepts[i].flag],
        "flags": [i for i in labels if concepts[i].flag],
    }
