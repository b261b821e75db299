# pyright: basic, reportMissingImports=false
"""A CLIP model of published size as mmx, open_clip and transformers have it, each differentiated on the same batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

import torch
from peers import open_clip
from torch import Tensor, nn

from mmx.learn.model import Model
from mmx.parts.batch import Pixels, Words
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.contrastive import contrastive
from mmx_clip.convert import from_open_clip, from_transformers
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

Config = dict[str, Any]
"""A model as open_clip's own files describe it."""

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
START, END = 49_406, 49_407
LENGTHS: Final = (77, 16, 5)
"""Tokens of each caption of the batch, start and end included."""


@dataclass(frozen=True)
class Outcome:
    """What a model makes of the batch."""

    image: Tensor
    text: Tensor
    loss: Tensor


class Oracle(Protocol):
    """A model in training mode, with weights and gradients under mmx's names."""

    @property
    def model(self) -> nn.Module:
        """The model itself, under its own names."""
        ...

    def run(self, pixels: Tensor, words: Words) -> Outcome:
        """Encode uint8 pixels and words, and differentiate the contrastive loss."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return the weights."""
        ...

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield what ``run`` left."""
        ...


def batch(side: int, rows: int) -> tuple[Tensor, Words]:
    """Return pictures that differ in their large patches and in noise, and captions of the first lengths above."""
    draw = torch.Generator().manual_seed(1)
    coarse = torch.rand(rows, 3, 7, 7, generator=draw)
    fine = torch.rand(rows, 3, side, side, generator=draw)
    large = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    pixels = (255 * (0.7 * large + 0.3 * fine)).to(torch.uint8)
    ids = torch.randint(1, START, (rows, 77), generator=draw)
    ends = torch.tensor(LENGTHS[:rows])[:, None] - 1
    places = torch.arange(77).expand(rows, 77)
    ids = ids.masked_fill(places > ends, 0).masked_fill(places == ends, END)
    ids[:, 0] = START
    return pixels, Words(ids, places <= ends)


def disturbed(model: nn.Module) -> nn.Module:
    """Return the model in training mode, gains and biases moved off zero and one, where they hide mistakes."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.train()


@final
class OpenClip:
    """open_clip's ``CLIP`` with its ``ClipLoss``, freshly made from a seed."""

    def __init__(self, config: Config, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.model = disturbed(open_clip().CLIP(**config)).to(dtype)
        self.dtype = dtype

    def run(self, pixels: Tensor, words: Words) -> Outcome:
        """Encode and differentiate."""
        images, texts, scale = self.model(normalised(pixels, self.dtype), words.ids)
        loss = open_clip().ClipLoss()(images, texts, scale)
        loss.backward()
        return Outcome(images.detach(), texts.detach(), loss.detach())

    def state(self) -> dict[str, Tensor]:
        """Return the weights, without copying most of them."""
        return from_open_clip(self.model.state_dict())

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the gradients."""
        found: dict[str, Any] = {name: value.grad for name, value in self.model.named_parameters()}
        return trained(from_open_clip(self.model.state_dict() | found))


@final
class Transformers:
    """transformers' ``CLIPModel`` with its own loss, freshly made from a seed."""

    def __init__(self, config: Config, dtype: torch.dtype) -> None:
        open_clip()  # which makes torchvision importable; transformers imports it where it is there
        from transformers import CLIPConfig, CLIPModel

        torch.manual_seed(0)
        self.model = disturbed(CLIPModel(CLIPConfig(**transformers_config(config)))).to(dtype)
        self.dtype = dtype

    def run(self, pixels: Tensor, words: Words) -> Outcome:
        """Encode and differentiate."""
        mask = words.mask.long()
        images = normalised(pixels, self.dtype)
        out = self.model(input_ids=words.ids, pixel_values=images, attention_mask=mask, return_loss=True)
        out.loss.backward()
        return Outcome(out.image_embeds.detach(), out.text_embeds.detach(), out.loss.detach())

    def state(self) -> dict[str, Tensor]:
        """Return the weights."""
        return from_transformers(self.model.state_dict())

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the gradients."""
        found: dict[str, Any] = {name: value.grad for name, value in self.model.named_parameters()}
        return trained(from_transformers(found))


@final
class Mmx:
    """mmx's model with its loss, from given weights."""

    def __init__(self, config: Config, weights: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        self.model = mmx_model(config).to(dtype).train()
        self.model.load_state_dict(weights)
        for own, values in ((self.model.mean, MEAN), (self.model.std, STD)):
            own.copy_(255 * torch.tensor(values, dtype=dtype).view(1, 3, 1, 1))  # in fp64 not rounded to fp32 first

    def run(self, pixels: Tensor, words: Words) -> Outcome:
        """Encode and differentiate."""
        images, texts = self.model.embed_image(Pixels(pixels)), self.model.embed_text(words)
        loss = contrastive(images, texts, self.model.fusion.scale())
        loss.backward()
        return Outcome(images.detach(), texts.detach(), loss.detach())

    def state(self) -> dict[str, Tensor]:
        """Return the weights."""
        return self.model.state_dict()

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the gradients."""
        return ((name, value.grad) for name, value in self.model.named_parameters() if value.grad is not None)


def normalised(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return pixels of 0 to 255 as the peers take them."""
    mean, std = (torch.tensor(values, dtype=dtype).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels.to(dtype) / 255 - mean) / std


def trained(gradients: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield what is not a statistic of BatchNorm."""
    return ((name, value) for name, value in gradients.items() if "running_" not in name and "tracked" not in name)


def mmx_model(config: Config) -> Model:
    """Return mmx's model for open_clip's description of it."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
    side, width = vision["image_size"], vision["width"]
    sizes = Sizes(side, text["vocab_size"], text["context_length"], 0, START, END)
    small = {"width": text["width"], "heads": text["heads"], "layers": text["layers"], "activation": activation}
    texts = TextTransformer(TextTransformerConfig(name="transformer", **small), sizes)
    head = vision.get("head_width", 64)
    if resnet := isinstance(vision["layers"], list):
        options = {"blocks": tuple(vision["layers"]), "width": width, "heads": width * 32 // head}
        pooled = ModifiedResNetConfig(name="modified_resnet", output=config["embed_dim"], **options)
        images = ModifiedResNet(pooled, sizes)
    else:
        options = {"width": width, "heads": width // head, "layers": vision["layers"], "patch": vision["patch_size"]}
        ratio = vision.get("mlp_ratio", 4.0)
        images = Vit(VitConfig(name="vit", mlp_ratio=ratio, activation=activation, **options), sizes)
    widths = Sizes(side, sizes.vocabulary, 77, 0, START, END, images.width, texts.width)
    fusion = ProjectionConfig(name="projection", width=config["embed_dim"], project_image=not resnet)
    return Model(images, texts, Projection(fusion, widths), Preprocess(side, MEAN, STD, "squash"))


def transformers_config(config: Config) -> Config:
    """Return the same model as transformers describes it; for ViT only."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
    width = vision["width"]
    images = {"hidden_size": width, "intermediate_size": int(width * vision.get("mlp_ratio", 4.0))}
    images |= {"num_hidden_layers": vision["layers"], "num_attention_heads": width // vision.get("head_width", 64)}
    images |= {"image_size": vision["image_size"], "patch_size": vision["patch_size"], "hidden_act": activation}
    texts = {"hidden_size": text["width"], "intermediate_size": 4 * text["width"], "hidden_act": activation}
    texts |= {"num_hidden_layers": text["layers"], "num_attention_heads": text["heads"], "pad_token_id": 0}
    texts |= {"vocab_size": text["vocab_size"], "bos_token_id": START, "eos_token_id": END}
    return {"vision_config": images, "text_config": texts, "projection_dim": config["embed_dim"]}
