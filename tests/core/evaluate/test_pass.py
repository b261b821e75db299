"""An encode pass: the same rows whatever the workers and the ranks, few in memory at a time, bad samples named."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor
from typing_extensions import override

from mmx.data.watch import Watch
from mmx.errors import DataError
from mmx.evaluate import EncodePass, encode
from mmx.evaluate.reading import PIECE
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample
from mmx.parts.evaluator import EvalModel
from mmx.parts.feed import Feed
from mmx_kit.layouts import world
from mmx_kit.ranks import Ranks
from mmx_kit.uses import subject
from mmx_zeroshot.config import ZeroShotConfig
from mmx_zeroshot.evaluator import ZeroShot


@final
class Colours(Dataset):
    """Pictures of one colour each, with one or two captions; some cannot be read, and one may end everything."""

    def __init__(self, count: int, bad: Sequence[int] = (), broken: int = -1) -> None:
        self.count, self.bad, self.broken = count, frozenset(bad), broken

    @override
    def __len__(self) -> int:
        return self.count

    @override
    def key(self, index: int) -> str:
        return f"colour/{index}"

    @override
    def read(self, index: int) -> Sample:
        if index in self.bad:
            raise BadSampleError("is not a picture")
        if index == self.broken:
            raise DataError("the disk is gone")
        texts = (f"colour {index % 5}", "a colour")[: 1 + index % 2]
        image = Image.new("RGB", (40, 30), (37 * index % 256, 91 * index % 256, 17 * index % 256))
        return Sample(self.key(index), image, texts, {"label": index % 7})

    @override
    def classes(self) -> Classes:
        return Classes([f"name {index % 6}" for index in range(7)], ("a {}", "the {}"))


def with_feed(**options: Any) -> EvalModel:
    return replace(subject(), feed=Feed(**options))


def everyone(value: object) -> list[Any]:
    """Return what every rank gave, as an engine does."""
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def numbers(one: EvalModel, count: int, bad: Sequence[int] = ()) -> tuple[dict[str, float], Sequence[Sequence[object]]]:
    """Return the numbers and the outcomes of a zero-shot evaluation."""
    with torch.no_grad():
        found = ZeroShot(ZeroShotConfig(name="zeroshot", batch=4, pictures=2), Colours(count, bad)).evaluate(one)
    assert found.outcomes is not None
    rows = [tuple(round(cell, 4) if isinstance(cell, float) else cell for cell in row) for row in found.outcomes.rows]
    return {name: number.value for name, number in found.numbers.items()}, rows


def of_rank(count: int, bad: Sequence[int], workers: int = 0) -> tuple[dict[str, float], Sequence[Sequence[object]]]:
    one = replace(subject(), group=world(), feed=Feed(workers=workers, everyone=everyone))
    return numbers(one, count, bad)


@pytest.mark.parametrize("count", [1, 9, 23])
def test_workers_and_ranks_change_no_number(count: int, pair: Ranks) -> None:
    bad = [4, 11] if count > 1 else []
    alone = numbers(with_feed(), count, bad)
    assert len(alone[1]) == count - sum(index < count for index in bad)
    assert numbers(with_feed(workers=2), count, bad) == alone
    assert pair(of_rank, count, bad) == [alone] * 2


def embedded(count: int, workers: int) -> dict[str, Any]:
    group = world()
    feed = Feed(workers=workers, everyone=everyone) if group.size > 1 else Feed(workers=workers)
    found = encode(replace(subject(), group=group, feed=feed), Colours(count, [2]), batch=3, captions="all")
    assert found.images is not None and found.texts is not None
    tensors = {"images": found.images, "texts": found.texts, "owners": found.owners, "same": found.same}
    return {**{name: value.numpy() for name, value in tensors.items()}, "indices": found.indices.tolist()}


@pytest.mark.parametrize("count", [4, 10])
def test_embeddings_are_in_the_datasets_order(count: int, pair: Ranks) -> None:
    one, data = subject(), Colours(count)
    alone = embedded(count, 2)
    assert alone["indices"] == [index for index in range(count) if index != 2]
    captions = [(row, text) for row, index in enumerate(alone["indices"]) for text in data.read(index).texts]
    with torch.no_grad():  # the oracle: each text by itself
        texts = torch.cat([one.model.embed_text(one.tokenizer([text])) for _, text in captions])
    torch.testing.assert_close(torch.tensor(alone["texts"]), texts)
    assert alone["owners"].tolist() == [row for row, _ in captions]
    alike = [[left == right for _, right in captions] for _, left in captions]
    assert (alone["same"][:, None] == alone["same"]).tolist() == alike
    for rank in pair(embedded, count, 0):
        assert rank["indices"] == alone["indices"] and rank["owners"].tolist() == alone["owners"].tolist()
        for name in ("images", "texts"):
            torch.testing.assert_close(torch.tensor(rank[name]), torch.tensor(alone[name]))


def test_equal_captions_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, rows = subject(), list[int]()
    real = one.model.embed_text

    def counted(words: Any) -> Tensor:
        rows.append(len(words))
        return real(words)

    monkeypatch.setattr(one.model, "embed_text", counted)
    found = encode(one, Colours(40), batch=8, images=False, captions="all")
    assert found.images is None and found.texts is not None and len(found.texts) == 60
    assert sum(rows) == 6  # "colour 0" to "colour 4" and "a colour"


@pytest.mark.parametrize("workers", [0, 2])
def test_few_pieces_are_in_memory_at_a_time(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alive, most, real = weakref.WeakSet[Tensor](), [0], Watch[Any].next

    def noted(watch: Watch[Any]) -> Any:
        found: Any = real(watch)
        alive.add(found.pixels.pixels)
        most[0] = max(most[0], len(alive))
        return found

    monkeypatch.setattr(Watch, "next", noted)
    seen = 0
    for samples in EncodePass(with_feed(workers=workers), Colours(20 * PIECE), batch=1000):
        assert samples.pixels is not None and len(samples.pixels) == PIECE
        seen += len(samples.keys)
        del samples
        gc.collect()
    assert seen == 20 * PIECE and most[0] <= 2


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_samples_are_named_and_counted(workers: int) -> None:
    said: list[str] = []
    found = EncodePass(with_feed(workers=workers, say=said.append), Colours(9, [0, 5]), batch=2)
    assert [key for samples in found for key in samples.keys] == [f"colour/{i}" for i in range(9) if i not in (0, 5)]
    assert said == ["skipped colour/0: is not a picture", "skipped colour/5: is not a picture"]
    assert list(found.bad_table()["bad_samples"].rows) == [(f"colour/{i}", "is not a picture") for i in (0, 5)]


def test_a_sample_without_a_caption_is_bad_where_captions_are_read() -> None:
    found = encode(subject(), Colours(3), batch=2, captions="first")
    assert found.texts is not None and len(found.texts) == 3 and not found.bad


def test_too_many_bad_samples_end_it() -> None:
    with pytest.raises(DataError, match=r"bad samples in what is evaluated: 2 so far, more than the 1 of 10.*colour/1"):
        list(EncodePass(with_feed(bad_samples=0.1), Colours(10, [1, 2]), batch=2))


def failed(broken: int) -> str:
    one = replace(subject(), group=world(), feed=Feed(everyone=everyone))
    with pytest.raises(DataError) as error:
        list(EncodePass(one, Colours(12, broken=broken), batch=2))
    return str(error.value)


@pytest.mark.parametrize("broken", [0, 11])
def test_where_one_rank_fails_all_do(broken: int, pair: Ranks) -> None:
    assert pair(failed, broken) == ["the disk is gone"] * 2


def test_workers_end_with_the_pass() -> None:
    before = _children()
    pieces = iter(EncodePass(with_feed(workers=2), Colours(40), batch=4))
    next(pieces)
    assert len(_children() - before) == 2
    pieces.close()
    assert _children() == before


def _children() -> set[int]:
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children", encoding="ascii") as file:
        return set(map(int, file.read().split()))
