"""Options of the dataset. This module does not import torch, so that recipes are checked without it."""

from pathlib import Path
from typing import Self

from typing_extensions import override

from mmx.config import DatasetConfig


class ThisPartConfig(DatasetConfig):
    """Options of the dataset ``this-part``."""

    folder: Path
    """The folder of pictures, as seen from where ``mmx`` is started; each has a text file of its name beside it.
    Folders in it are read too."""
    extensions: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".webp")
    """Endings of picture files, in lower case."""

    @override
    def absent(self) -> str:
        """Say that the folder is not there; asked before a run imports torch."""
        return "" if self.folder.is_dir() else f"there is no folder {self.folder}; set data.train.folder"

    @classmethod
    @override
    def example(cls, name: str, folder: Path) -> Self:
        """Return the options of a folder with 24 drawn shapes, for the conformance kit."""
        from PIL import Image, ImageDraw

        for colour in ("red", "orange", "green", "blue", "purple", "black"):
            for shape, sides in (("triangle", 3), ("square", 4), ("hexagon", 6), ("circle", 60)):
                picture = Image.new("RGB", (48, 48), "white")
                ImageDraw.Draw(picture).regular_polygon((24, 24, 18), sides, fill=colour)
                picture.save(folder / f"{colour}_{shape}.png")
                (folder / f"{colour}_{shape}.txt").write_text(f"a {colour} {shape}\n", encoding="utf-8")
        return cls(name=name, folder=folder)
