"""The kit's own parts and inputs: what checks rely on."""

from pathlib import Path

import torch

from mmx.config import LossConfig
from mmx.parts.encoder import Mode
from mmx_kit.inputs import batch_for, example_pixels, example_words
from mmx_kit.partner_losses import PartnerContrast, PartnerWords
from mmx_kit.partners import ROWS, SIZES, partner_model, sizes_of
from mmx_kit.samples import PartnerDataset, PartnerTokenizer


def test_texts_start_end_and_are_padded_and_some_fill_the_context() -> None:
    words = example_words()
    lengths = words.mask.sum(1)
    assert (words.ids[:, 0] == SIZES.start).all()
    assert ((words.ids == SIZES.end).sum(1) == 1).all()
    assert (words.ids[torch.arange(ROWS), lengths - 1] == SIZES.end).all()
    assert (words.ids[~words.mask] == SIZES.pad).all()
    assert lengths.max() == SIZES.context and len(set(lengths.tolist())) == ROWS


def test_labels_mark_words_that_are_there_and_unlike_numbers_of_them() -> None:
    words = example_words()
    assert words.labels is not None
    marked = words.labels != -100
    assert torch.equal(words.labels[marked], words.ids[marked])
    counts = marked.sum(1)
    assert counts[0] == 0 and len(set(counts.tolist())) > 3


def test_a_batch_has_what_the_losses_read_and_differs_between_steps() -> None:
    sizes = sizes_of(partner_model())
    losses = [kind(LossConfig(name="x"), sizes) for kind in (PartnerContrast, PartnerWords)]
    batch, later = (batch_for(losses, step=step) for step in (0, 1))
    assert set(batch.images) == set(batch.texts) == {"clean"} and not batch.facts
    assert not torch.equal(batch.images["clean"].pixels, later.images["clean"].pixels)
    assert torch.equal(batch.images["clean"].pixels, batch_for(losses).images["clean"].pixels)


def test_the_model_tells_pictures_and_texts_apart_in_every_mode() -> None:
    torch.manual_seed(0)
    model = partner_model()
    images = model.embed_image(example_pixels())
    assert model.fusion.similarity(images, model.embed_text(example_words())).std() > 0.05
    context = model.encode_image(example_pixels())
    modes: tuple[Mode, ...] = ("text", "fuse", "decode")
    read = [model.text_encoder(example_words(), context, mode).pooled for mode in modes]
    assert not torch.allclose(read[0], read[1]) and not torch.allclose(read[1], read[2])


def test_the_dataset_has_pictures_that_differ_with_labels_and_captions(tmp_path: Path) -> None:
    data = PartnerDataset()
    samples = [data.read(index) for index in range(len(data))]
    assert len({sample.image.tobytes() for sample in samples if sample.image is not None}) == len(data) > ROWS
    assert [sample.key for sample in samples] == [data.key(index) for index in range(len(data))]
    names = {label: name for label, name in enumerate(data.classes().names)}
    assert all(names[sample.facts["label"]] in sample.texts[0] for sample in samples)  # pyright: ignore


def test_the_tokenizer_writes_and_reads_ascii_and_cuts_long_texts() -> None:
    tokenizer = PartnerTokenizer()
    assert tokenizer.decode(tokenizer.encode("A red bar!")) == "A red bar!"
    words = tokenizer(["a", "a text that is longer than the context"])
    assert words.ids.shape == (2, SIZES.context)
    assert words.ids[1, -1] == SIZES.end and words.mask.sum(1).tolist() == [3, SIZES.context]
