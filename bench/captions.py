"""Ordinary captions, made from words: the same ones on every machine.

Words are those of the embedded drawings' names, as often as their rank says (Zipf), and one in nine is rare: a name or
a number, so that new words keep coming up as they do in captions from the web.
"""

import itertools
import random
from typing import Final

from mmx_quickstart.concepts import Concept, read_concepts

_TEMPLATES: Final = (
    "a photo of a {} and a small {} on a wooden table",
    "{} and {}",
    "A {} next to the {}, {}",
    "Vintage {} - {} for sale",
    "the {} of {} in {}",
    "{}, seen from the side while it was raining in {}",
    "Two people with a {} in front of a {}",
    "How to draw a {} step by step: {} & {}",
    "{} | {} | {}",
    "What's the best {} for your {}?",
    "Stock photo: {} ({}) on white background",
    "{}'s {} in {}",
)
_SYLLABLES: Final = (
    "ba",
    "ri",
    "son",
    "el",
    "ta",
    "ko",
    "mar",
    "in",
    "dell",
    "wy",
    "ther",
    "os",
    "lu",
    "ven",
    "ash",
    "q",
)
_ENTITIES: Final = ("&amp;", "&quot;", "&#39;", "&lt;3", "&eacute;", "&nbsp;")
_ACCENTED: Final = ("caf\u00e9", "\u201cquoted\u201d", "na\u00efve", "it\u2019s", "\u00c3\u00a9t\u00c3\u00a9", "\u2013")


def plain(count: int) -> list[str]:
    """Return captions in ASCII."""
    draw, concepts = random.Random(1), read_concepts()
    words = [concept.label.encode("ascii", "ignore").decode() for concept in concepts]
    draw.shuffle(words)
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    return [_caption(draw, words, weights) for _ in range(count)]


def mixed(count: int) -> list[str]:
    """Return the same captions, one in twenty of them with emoji, HTML entities, accents or Chinese characters."""
    draw, concepts = random.Random(2), read_concepts()
    return [f"{text} {_foreign(draw, concepts)}" if draw.random() < 0.05 else text for text in plain(count)]


def distinct(texts: list[str]) -> int:
    """Return how many different words there are, as white space and case tell them apart."""
    return len({word for text in texts for word in text.lower().split()})


def _caption(draw: random.Random, words: list[str], weights: list[float]) -> str:
    template = draw.choice(_TEMPLATES)
    chosen = draw.choices(words, cum_weights=weights, k=template.count("{}"))
    return template.format(*(_rare(draw) if draw.random() < 1 / 9 else word for word in chosen))


def _rare(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return str(draw.randrange(1, 3000))
    return "".join(draw.choices(_SYLLABLES, k=draw.randint(2, 4))).capitalize()


def _foreign(draw: random.Random, concepts: list[Concept]) -> str:
    match draw.randrange(4):
        case 0:
            return "".join(chr(int(code, 16)) for code in draw.choice(concepts).code.split("-"))
        case 1:
            return draw.choice(_ENTITIES)
        case 2:
            return draw.choice(_ACCENTED)
        case _:
            return "".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(draw.randint(2, 6)))
