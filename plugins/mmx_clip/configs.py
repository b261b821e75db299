"""Options of CLIP's parts. The defaults are the published ones of ViT-B/16 and RN50."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from mmx.config import EncoderConfig, LossConfig, PartConfig

Activation = Literal["quick_gelu", "gelu"]


def _check_heads(width: int, heads: int, what: str = "width") -> None:
    if width % heads:
        fits = ", ".join(str(count) for count in range(1, min(width, 128) + 1) if width % count == 0)
        raise ValueError(f"{what} {width} is not divisible by heads = {heads}; these divide it: {fits}")


class TransformerConfig(EncoderConfig):
    """What CLIP's vision and text transformers have in common."""

    width: PositiveInt
    """Features of each token."""
    layers: PositiveInt = 12
    """Number of blocks."""
    heads: PositiveInt
    """Attention heads of each block; must divide the width."""
    mlp_ratio: PositiveFloat = 4.0
    """Width of the hidden layer of each block's MLP, as a multiple of the width (rounded down)."""
    activation: Activation = "quick_gelu"
    """"quick_gelu" (x * sigmoid(1.702 x), the original CLIP) or "gelu" (H/14 and larger)."""
    checkpointing: bool = False
    """Recompute each block in the backward pass instead of keeping its activations: less memory, a third more work."""
    tokens: Literal["all", "pooled"] = "all"
    """"pooled" gives the pooled token alone, so that the last block computes no other: the same embedding for less work.
    "all" gives all tokens too, which losses and fusions that read them need."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        _check_heads(self.width, self.heads)
        return self

    def tiny(self) -> Self:
        """Return two narrow blocks."""
        return self.model_copy(update={"width": 32, "layers": 2, "heads": 2})


class VitConfig(TransformerConfig):
    """Options of the image encoder ``vit``."""

    patch: PositiveInt = 16
    """Side of a patch in pixels; must divide the image size."""
    width: PositiveInt = 768
    """Features of each token."""
    heads: PositiveInt = 12
    """Attention heads of each block; must divide the width."""
    patch_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of patches that are left out of each training image, drawn anew every time."""
    pre_norm: bool = True
    """Normalise the embedded patches before the first block, as CLIP does."""


class TextTransformerConfig(TransformerConfig):
    """Options of the text encoder ``transformer``."""

    width: PositiveInt = 512
    """Features of each token."""
    heads: PositiveInt = 8
    """Attention heads of each block; must divide the width."""
    causal: bool = True
    """Let each token read only those before it, as CLIP does; False lets it read all, padding too, as SigLIP does."""
    pool: Literal["end", "last"] = "end"
    """The token that stands for the text: the end of the text (CLIP), or the last position (SigLIP)."""
    padding: Literal["skip", "compute"] = "skip"
    """"skip" computes no padding: the same embedding for less work, zeros for the tokens there. "compute" gives every
    position its token, as text towers for diffusion are read."""

    @model_validator(mode="after")
    def _computes_padding_that_is_read(self) -> Self:
        if self.padding == "skip" and not (self.causal and self.pool == "end"):
            reads = 'pool = "last" pools the last position, behind all' if self.causal else "causal = false reads the"
            raise ValueError(
                f'{reads} padding, so it must be computed: set padding = "compute" (the default is "skip")'
            )
        return self


class ModifiedResNetConfig(EncoderConfig):
    """Options of the image encoder ``modified_resnet``. All strides together must divide the side of the image."""

    stem: Literal["clip", "single"] = "clip"
    """First layers: "clip" for CLIP's three 3x3 convolutions, "single" for the first of them, to half the width."""
    stem_stride: Literal[1, 2, 4] = 4
    """By how much the stem shrinks the image. CLIP's is 4; small images want 1 or 2."""
    block: Literal["bottleneck", "basic"] = "bottleneck"
    """Residual block: "bottleneck" (1x1, 3x3, 1x1, four times as wide at its end) or "basic" (two 3x3)."""
    blocks: Annotated[tuple[PositiveInt, ...], Field(min_length=1, strict=False)] = (3, 4, 6, 3)
    """Number of blocks in each stage."""
    strides: Annotated[tuple[Literal[1, 2, 4], ...], Field(min_length=1, strict=False)] = (1, 2, 2, 2)
    """By how much each stage shrinks the image, in its first block."""
    width: PositiveInt = 64
    """Channels of the stem and of the first stage; each stage has twice those of the one before."""
    pool: Literal["attention", "mean"] = "attention"
    """From the feature map to one vector: CLIP's attention pool, or the mean over positions."""
    heads: PositiveInt = 32
    """Heads of the attention pool; must divide the channels of the last stage. Not used by the mean."""
    output: PositiveInt = 1024
    """Width that the attention pool projects to. Not used by the mean, which keeps the channels of the last stage."""

    @property
    def channels(self) -> int:
        """Channels of the last stage."""
        return self.width * 2 ** (len(self.blocks) - 1) * (4 if self.block == "bottleneck" else 1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.strides) != len(self.blocks):
            raise ValueError(f"strides has {len(self.strides)} entries, but blocks has {len(self.blocks)}")
        if self.width % 2:
            raise ValueError(f"width {self.width} is odd; the stem starts with half of it")
        if self.pool == "attention":
            _check_heads(self.channels, self.heads, "the last stage's channels:")
        return self

    def tiny(self) -> Self:
        """Return one narrow block a stage."""
        return self.model_copy(update={"blocks": (1,) * len(self.blocks), "width": 8, "heads": 2, "output": 32})


class ProjectionConfig(PartConfig):
    """Options of the fusion ``projection``."""

    width: PositiveInt = 512
    """Size of the shared space."""
    project_image: bool = True
    """Map the image encoder's output linearly. False for CLIP's ResNets, whose attention pool ends in that map."""
    temperature: PositiveFloat = 0.07
    """Temperature to start from; similarities are divided by it."""
    max_scale: Annotated[float, Field(ge=1)] = 100.0
    """The largest factor on similarities (1 / temperature) that training may reach."""

    @model_validator(mode="after")
    def _starts_in_range(self) -> Self:
        if not 1 <= 1 / self.temperature <= self.max_scale:
            raise ValueError(
                f"temperature {self.temperature} is a factor of {1 / self.temperature:.4g} on similarities, "
                f"outside of 1 to max_scale = {self.max_scale}"
            )
        return self

    def tiny(self) -> Self:
        """Return a narrow shared space."""
        return self.model_copy(update={"width": 32})


class ClipLossConfig(LossConfig):
    """Options of the loss ``clip``."""

    image: str = "clean"
    """The image view that is compared."""
    text: str = "clean"
    """The text view that is compared."""
    group: str | None = None
    """The fact (a number that the dataset gives with each sample) that marks rows which show the same thing: equal
    values do, negative ones never; "group" of the dataset "shards" is one. None if not given."""
    same_group: Literal["mask", "positive"] = "mask"
    """The rest of a row's group: "mask" leaves it out of the row's softmax, "positive" spreads the target over it."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target that is spread evenly over the row's softmax."""


class ClipTokenizerConfig(PartConfig):
    """Options of the tokenizer ``clip``."""

    context: Annotated[int, Field(ge=3)] = 77
    """Text positions, start and end of text included; longer texts are cut and keep their end."""
    merges: Annotated[int, Field(ge=0, le=48_894)] = 48_894
    """Merges of byte pairs that are used, the most frequent first. All are CLIP's vocabulary of 49,408 ids; fewer make
    a smaller table of embeddings, and rare words of more pieces."""

    def tiny(self) -> Self:
        """Return a short context."""
        return self.model_copy(update={"context": 16})
