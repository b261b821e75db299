"""Two sources of tars to mix: ``drawn`` has an index, ``found`` has none; both are filtered, and have bad samples."""

import json
from pathlib import Path

from mmx_toy.tars import Member, index, pair, picture, write

DRAWN, FOUND = (3, 10), (2, 12)
"""Tars of each source, and samples of each tar."""
LOW, SMALL = 10, 4
"""How many of ``drawn`` have a low score, and of ``found`` a picture that is too small."""
KEPT = {"drawn": 20, "found": 20}
"""Samples that are left."""
TORN, EMPTY = {"drawn": (4, 16), "found": (13,)}, (5,)
"""Numbers of samples whose picture is cut short, and of those of ``found`` whose caption is empty."""
MIXES = {
    "weights": ("data.mix.weights.drawn=2.0", "data.mix.weights.found=1.0", "data.window=2"),
    "repeat": ("data.mix.repeat.drawn=1.5",),
}
"""Options of the two ways to mix."""
PER_EPOCH = {"weights": 40, "repeat": 50}
"""Samples of an epoch of each."""
UNSET = ("data.train",)


def mixed(folder: Path, bad: bool = True) -> tuple[str, ...]:
    """Write the tars, and return the options that read them.

    Args:
        folder: where they go.
        bad: whether there are bad samples among them.
    """
    options = ["data.sources.drawn.keep.fields.score.min=0.5", "data.sources.found.keep.min_side=8"]
    for name, (tars, samples) in (("drawn", DRAWN), ("found", FOUND)):
        (folder / name).mkdir(parents=True)
        paths = [folder / name / f"{name}-{tar}.tar" for tar in range(tars)]
        for tar, path in enumerate(paths):
            numbers = range(tar * samples, (tar + 1) * samples)
            write(path, [member for number in numbers for member in _sample(name, number, bad)])
        if name == "drawn":
            index(paths)
        urls = json.dumps([str(folder / name / f"{name}-{{0..{tars - 1}}}.tar")])
        options += [f"data.sources.{name}.name='shards'", f"data.sources.{name}.urls={urls}"]
    return tuple(options)


def _sample(source: str, number: int, bad: bool) -> list[Member]:
    side = 6 if source == "found" and number % 6 == 0 else 10
    image = picture(number, side, "PNG" if source == "drawn" else "JPEG")
    caption = f"{source} {number}".encode()
    if bad and number in TORN[source]:
        image = image[: len(image) // 2]
    if bad and source == "found" and number in EMPTY:
        caption = b" \n"
    return pair(f"{number:02}", image, caption, score=0.2 if number % 3 == 0 else 0.9)
