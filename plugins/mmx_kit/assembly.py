"""A part put to work: built with partners into a whole objective, and run on example inputs."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from mmx.config import EncoderConfig, LossConfig
from mmx.errors import MmxError
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.learn.objective import Objective
from mmx.learn.outputs import Outputs
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch, Encoded, Joint, Pixels, Words
from mmx.parts.encoder import ImageEncoder, Mode, TextEncoder
from mmx.parts.fusion import Fusion
from mmx.parts.group import Group, SoloGroup
from mmx.parts.loss import BatchLoss, ItemLoss, Loss
from mmx.parts.precision import full_precision, to_fp32
from mmx_kit.case import Case
from mmx_kit.inputs import batch_for, with_hidden
from mmx_kit.partner_losses import VIEW, PartnerContrast, PartnerWords, joins
from mmx_kit.partners import ROWS, SIZES, PartnerImages, PartnerTexts, partner_model, sizes_of, widths

MODEL_KINDS: Final = ("image_encoder", "text_encoder", "fusion", "loss")
PART: Final = "part"
"""The name of a loss under check in its objective."""
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Assembly:
    """An objective with the part under check in it."""

    kind: str
    objective: Objective

    @property
    def part(self) -> nn.Module:
        """The part under check."""
        model = self.objective.model
        return self.objective.losses[PART] if self.kind == "loss" else cast(nn.Module, getattr(model, self.kind))

    @property
    def model(self) -> Model:
        """The model that the part is in, or works with."""
        return self.objective.model

    def batch(self, rows: int = ROWS, step: int = 0) -> Batch:
        """Return an example batch with what the objective's losses read."""
        found = batch_for([cast(Loss, loss) for loss in self.objective.losses.values()], SIZES, rows, step)
        return with_hidden(found) if self.kind == "loss" else found

    def model_outputs(self, batch: Batch, grad: bool = True) -> Outputs:
        """Return one micro-batch through the model and the teachers."""
        teachers = {name: cast(Teacher, teacher).model for name, teacher in self.objective.teachers.items()}
        return Outputs(self.model, batch, teachers, grad)

    def inputs(self, batch: Batch) -> Tensors:
        """Return by name what the part itself is given, each with one row per sample; detached."""
        with torch.no_grad():
            part = self.part
            if isinstance(part, ImageEncoder):
                return {"pixels": self.model.normalise(batch.images[VIEW]).pixels}
            if isinstance(part, (TextEncoder, Fusion)):
                words = batch.texts[VIEW]
                found = {"ids": words.ids, "mask": words.mask} | encoded(
                    "image.", self.model.encode_image(batch.images[VIEW])
                )
                return (
                    found if isinstance(part, TextEncoder) else found | encoded("text.", self.model.encode_text(words))
                )
            if isinstance(part, BatchLoss):
                outputs = self.model_outputs(batch, grad=False)
                return {named(pull): to_fp32(outputs.pull(pull)) for pull in part.features()}
            return tensors_of(batch)

    def run(self, inputs: Tensors, batch: Batch) -> Tensors:
        """Run the part on such inputs and return all its outputs by name; the rest, such as views' names, is the batch's."""
        part = self.part
        if isinstance(part, ImageEncoder):
            return encoded("", part(Pixels(inputs["pixels"])))
        if isinstance(part, TextEncoder):
            return _read(part, Words(inputs["ids"], inputs["mask"]), _joined("image.", inputs))
        if isinstance(part, Fusion):
            return _fused(part, inputs, self.model.text_encoder)
        if isinstance(part, ItemLoss):
            replaced = with_tensors(batch, inputs)
            return {"sums": part(self.model_outputs(replaced)), "count": part.count(replaced)}
        return {"loss": self.compared(self.whole(inputs, batch))}

    def outputs(self, batch: Batch) -> Tensors:
        """Run the part on what a batch gives it."""
        return self.run(self.inputs(batch), batch)

    def whole(self, inputs: Tensors, batch: Batch) -> GlobalBatch:
        """Return what a batch loss is called with."""
        features = {pull: inputs[named(pull)] for pull in cast(BatchLoss, self.part).features()}
        return GlobalBatch(features, self.objective.group, batch.step)

    def compared(self, whole: GlobalBatch) -> Tensor:
        """Call a batch loss as the objective does."""
        with full_precision(self.model.mean.device):
            return cast(BatchLoss, self.part)(whole, self.model)


def assemble(case: Case, seed: int = 0, group: Group | None = None, stirred: bool = True) -> Assembly:
    """Build a part with partners, in fp32 and training mode; the same seed gives the same weights.

    Args:
        case: the part.
        seed: the seed of its weights; the partners' are always the same.
        group: the data-parallel ranks; one process if not given.
        stirred: move every parameter a little off its first value, so that none is at a special one, such as zero.
    """
    model, losses = _model(case, seed)
    if case.kind == "loss":
        losses = {PART: cast(Loss, case.build(sizes_of(model), seed=seed))}
    names = sorted({teacher for loss in losses.values() for teacher in loss.teachers})
    teachers = {name: Teacher(model, decay=0.9) for name in names}
    objective = Objective(model, losses, dict.fromkeys(losses, 1.0), teachers, group or SoloGroup())
    if stirred:
        _stir(objective, seed)
    return Assembly(case.kind, objective.train())


def _model(case: Case, seed: int) -> tuple[Model, dict[str, Loss]]:
    torch.manual_seed(1)
    images: ImageEncoder = PartnerImages(EncoderConfig(name="partner"), SIZES)
    texts: TextEncoder = PartnerTexts(EncoderConfig(name="partner"), SIZES)
    fusion: Fusion | None = None
    if case.kind == "image_encoder":
        images = case.build(SIZES, seed=seed)
    elif case.kind == "text_encoder":
        texts = case.build(SIZES, seed=seed)
    elif case.kind == "fusion":
        fusion = case.build(widths(images, texts), seed=seed)
    torch.manual_seed(2)
    model = partner_model(images, texts, fusion)
    sizes, config = sizes_of(model), LossConfig(name="partner")
    return model, {"contrast": PartnerContrast(config, sizes), "words": PartnerWords(config, sizes)}


@torch.no_grad()
def _stir(objective: Objective, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for parameter in [*objective.model.parameters(), *objective.losses.parameters()]:
        if not parameter.is_meta:
            parameter += 0.1 * torch.randn(parameter.shape, generator=draw).to(parameter)


def encoded(prefix: str, found: Encoded) -> Tensors:
    """Return what an encoder gave, by name."""
    parts = {"pooled": found.pooled, "tokens": found.tokens, "mask": found.mask}
    parts |= {f"layers.{index}": layer for index, layer in enumerate(found.layers)}
    return {f"{prefix}{name}": value for name, value in parts.items() if value is not None}


def _joined(prefix: str, inputs: Tensors) -> Encoded:
    """Return the encoder's output that :func:`encoded` took apart."""
    return Encoded(inputs[f"{prefix}pooled"], inputs.get(f"{prefix}tokens"), inputs.get(f"{prefix}mask"))


def _read(part: TextEncoder, words: Words, image: Encoded) -> Tensors:
    """Read text alone, and over an image's tokens in the modes that the tower has; padding is left out."""
    found = encoded("", real(part(words), words))
    modes: tuple[Mode, ...] = ("fuse", "decode")
    for mode in modes:
        try:
            found |= encoded(f"{mode}.", real(part(words, image, mode), words))
        except (MmxError, NotImplementedError):
            continue  # it says that it does not read in this mode
    return found


def real(found: Encoded, words: Words) -> Encoded:
    """Return what a tower made of words with zeros at padding, where a tower may leave anything."""
    mask = words.mask if found.mask is None else found.mask
    if not isinstance(found.tokens, Tensor) or found.tokens.shape[:2] != mask.shape or mask.dtype != torch.bool:
        return found
    return replace(found, tokens=found.tokens.masked_fill(~mask.unsqueeze(-1), 0.0))


def _fused(fusion: Fusion, inputs: Tensors, reader: TextEncoder) -> Tensors:
    image, text = _joined("image.", inputs), _joined("text.", inputs)
    found: Tensors = {}
    if fusion.offers("embed_image", "embed_text", "similarity"):
        images, texts = fusion.embed_image(image, reader), fusion.embed_text(text)
        found = {"image": images, "text": texts, "similarity": fusion.similarity(images, texts)}
    if fusion.offers("scale"):
        found["scale"] = fusion.scale()
    if not joins(fusion):
        return found
    joint = fusion.join(image, Words(inputs["ids"], inputs["mask"]), reader, "fuse")
    parts = {"joint.pooled": joint.pooled, "joint.image": joint.image, "joint.text": joint.text}
    return found | {name: value for name, value in parts.items() if value is not None} | _heads(fusion, joint)


def _heads(fusion: Fusion, joint: Joint) -> Tensors:
    found: Tensors = {}
    if fusion.offers("match"):
        found["match"] = fusion.match(joint.pooled)
    if fusion.offers("words") and joint.text is not None:
        found["words"] = fusion.words(joint.text)
    return found


def named(pull: Feature) -> str:
    """Name a pull, for messages."""
    return f"{pull.kind} {pull.view}" + ("" if pull.by == "student" else f" by {pull.by}")


def tensors_of(batch: Batch) -> Tensors:
    """Return every tensor of a batch by name."""
    views = [("images", batch.images), ("texts", batch.texts)]
    found = {
        f"{table}.{name}.{item.name}": getattr(view, item.name)
        for table, named_views in views
        for name, view in named_views.items()
        for item in fields(view)
    }
    found |= {f"facts.{name}": value for name, value in batch.facts.items()}
    return {name: value for name, value in found.items() if value is not None}


def with_tensors(batch: Batch, tensors: Tensors) -> Batch:
    """Return the batch with other tensors, named as :func:`tensors_of` does."""

    def view(table: str, name: str, old: Pixels | Words) -> Any:
        return replace(old, **{item.name: tensors.get(f"{table}.{name}.{item.name}") for item in fields(old)})

    return replace(
        batch,
        images={name: view("images", name, old) for name, old in batch.images.items()},
        texts={name: view("texts", name, old) for name, old in batch.texts.items()},
        facts={name: tensors[f"facts.{name}"] for name in batch.facts},
    )
