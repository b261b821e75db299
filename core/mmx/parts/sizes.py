"""What parts need to know of each other to be built."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes that flow from part to part while a model is built: image and vocabulary, then widths, then ``embed``."""

    image: int
    """Side of the square input, in pixels."""
    vocabulary: int
    context: int
    """Text positions, padding included."""
    pad: int
    start: int
    end: int
    """Token ids of padding, start and end of text."""
    image_width: int = 0
    """Of what the image tower returns; text towers know it, fusions and losses too."""
    text_width: int = 0
    embed: int = 0
    """The shared width ``d``; 0 if the fusion has none."""
    joint: int = 0
    """Width of the fusion's joint representation; 0 if it has none."""
    mask: int | None = None
    """Token id that stands for a hidden word, None if the tokenizer has none."""
    steps: int = 0
    """Steps of the run, for what grows over it; losses are told, encoders and fusions are not."""
    epoch_steps: int = 0
    """Steps of an epoch, likewise."""
