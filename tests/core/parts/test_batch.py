"""Batches taken apart and put together."""

import torch

from mmx.parts.batch import Batch, Pixels, Words, joined


def batch(first: int, rows: int, facts: tuple[str, ...] = ("group",)) -> Batch:
    numbers = torch.arange(first, first + rows)
    return Batch(
        images={"a": Pixels(numbers.view(-1, 1, 1, 1).expand(-1, 3, 2, 2).byte())},
        texts={"b": Words(numbers[:, None], torch.ones(rows, 1, dtype=torch.bool), labels=numbers[:, None])},
        facts={name: numbers for name in facts},
        keys=[str(number) for number in numbers.tolist()],
        step=4,
    )


def test_the_rows_of_several_are_those_of_one_in_order() -> None:
    whole = joined([batch(0, 3), batch(3, 1), batch(4, 2)])
    expected = batch(0, 6)
    assert whole.keys == expected.keys and whole.step == 4
    assert torch.equal(whole.images["a"].pixels, expected.images["a"].pixels)
    assert whole.images["a"].hidden is None
    assert torch.equal(whole.texts["b"].ids, expected.texts["b"].ids)
    assert whole.texts["b"].labels is not None and torch.equal(whole.facts["group"], expected.facts["group"])


def test_facts_that_not_all_have_are_left_out() -> None:
    assert set(joined([batch(0, 2, ("group", "label")), batch(2, 2)]).facts) == {"group"}


def test_pieces_put_together_are_the_batch() -> None:
    expected = batch(0, 7)
    whole = joined(expected.chunk(3))
    assert whole.keys == expected.keys and torch.equal(whole.texts["b"].ids, expected.texts["b"].ids)
