"""What a fusion need not offer is refused with what to do, and known before it is asked for."""

from collections.abc import Callable
from typing import Any, final

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Joint, Words
from mmx.parts.encoder import Mode, TextEncoder
from mmx.parts.fusion import Fusion

IMAGE, TEXT = Encoded(torch.ones(2, 3)), Encoded(torch.zeros(2, 3))
WORDS = Words(torch.zeros(2, 4, dtype=torch.int64), torch.ones(2, 4, dtype=torch.bool))


@final
class Reader(TextEncoder):
    """Returns the same for any text."""

    width = 3

    @override
    def forward(self, words: Words, context: Encoded | None = None, mode: Mode = "text") -> Encoded:
        return TEXT

    @override
    def blocks(self) -> list[nn.Module]:
        return [self]


READER = Reader()


@final
class Nothing(Fusion):
    """Offers nothing."""


@final
class Fusing(Fusion):
    """Fuses, and has a head."""

    @override
    def fuse(self, image: Encoded, text: Encoded) -> Joint:
        return Joint(image.pooled + text.pooled)

    @override
    def words(self, tokens: Tensor) -> Tensor:
        return 2 * tokens


CALLS: dict[str, Callable[[Fusion], object]] = {
    "embed_image": lambda fusion: fusion.embed_image(IMAGE, READER),
    "embed_text": lambda fusion: fusion.embed_text(TEXT),
    "similarity": lambda fusion: fusion.similarity(IMAGE.pooled, TEXT.pooled),
    "scale": lambda fusion: fusion.scale(),
    "fuse": lambda fusion: fusion.fuse(IMAGE, TEXT),
    "join": lambda fusion: fusion.join(IMAGE, WORDS, READER, "fuse"),
    "match": lambda fusion: fusion.match(IMAGE.pooled),
    "words": lambda fusion: fusion.words(IMAGE.pooled[:, None]),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_offered_is_refused_with_its_name(name: Any) -> None:
    assert not Nothing.offers(name)
    with pytest.raises(RecipeError, match=rf"the fusion Nothing .*: take it out, or use a fusion that offers `{name}`"):
        CALLS[name](Nothing())


def test_a_fusion_that_fuses_joins_in_that_mode_alone() -> None:
    fusion = Fusing()
    assert fusion.offers("fuse", "join", "words", "write") and not fusion.offers("fuse", "scale")
    assert torch.equal(fusion.join(IMAGE, WORDS, READER, "fuse").pooled, torch.ones(2, 3))
    with pytest.raises(RecipeError, match="does not join images and texts in mode 'decode'"):
        fusion.join(IMAGE, WORDS, READER, "decode")


def test_writing_is_by_the_fusions_own_head_where_it_does_not_say_else() -> None:
    assert torch.equal(Fusing().write(torch.ones(1, 2, 3), READER), torch.full((1, 2, 3), 2.0))


def test_there_is_no_bias_by_default() -> None:
    assert Nothing().bias() == 0
