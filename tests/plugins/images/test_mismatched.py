"""Captions that may be another sample's."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from mmx.data.order import Ticket
from mmx.data.views import Reader, Row, TextView, collate
from mmx_images.configs import MismatchedConfig
from mmx_images.mismatched import Mismatched
from mmx_kit.samples import PartnerDataset, PartnerTokenizer


def reader(seed: int = 0, **options: Any) -> Reader:
    config = MismatchedConfig.model_validate({"name": "mismatched", **options})
    return Reader(PartnerDataset(), {}, {"either": TextView(Mismatched(config, PartnerTokenizer()), None)}, seed)


def rows(of: Reader, epochs: int = 20) -> list[tuple[int, Row]]:
    found = [(index, of[Ticket(index, epoch)]) for epoch in range(epochs) for index in range(len(of))]
    return [(index, row) for index, row in found if isinstance(row, Row)]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_fact_says_whose_caption_it_is(share: float) -> None:
    data, matched = PartnerDataset(), list[int]()
    for index, row in rows(reader(share=share)):
        words = row.texts["either"]
        text = PartnerTokenizer().decode(words.ids[words.mask].tolist())
        own = [caption[: PartnerTokenizer.context - 2] for caption in data.read(index).texts]
        assert row.facts["matched"] == int(text in own)
        matched.append(int(text in own))
    assert len(matched) == 240 and abs(1 - share - sum(matched) / len(matched)) < 0.12


def test_it_becomes_a_fact_of_the_batch() -> None:
    batch = collate([row for _, row in rows(reader(fact="mine"), 1)]).batch
    assert batch.facts["mine"].dtype == torch.int64 and set(batch.facts["mine"].tolist()) == {0, 1}


def test_it_reads_captions_alone() -> None:
    with pytest.raises(ValidationError, match="reads the sample's captions; take 'of' out of its table"):
        MismatchedConfig(name="mismatched", of="clean")
