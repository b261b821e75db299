"""Second samples: whose captions a text transform reads beside those of the first."""

from typing import Final

from mmx.data.permute import seed_of
from mmx.parts.dataset import BadSampleError, Dataset, Sample

_TRIES: Final = 16
"""Samples that are looked at before the first one is given up."""


def second_captions(
    dataset: Dataset, among: range, first: int, sample: Sample, role: str | None, seed: int
) -> tuple[str, ...]:
    """Return the captions of another sample, drawn by ``seed`` alone.

    Args:
        dataset: where samples are read.
        among: indices of the samples that it may be.
        first: index of the first sample.
        sample: the first sample.
        role: whose captions are wanted.
        seed: what it depends on.

    Raises:
        BadSampleError: of all that were looked at none can be used.
    """
    own = set(sample.captions(role))
    for attempt in range(_TRIES):
        index = among[seed_of(seed, attempt) % len(among)]
        if index == first:
            continue
        try:
            other = dataset.read_texts(index)
        except BadSampleError:
            continue
        captions = other.captions(role)
        alike = "group" in sample.facts and sample.facts["group"] == other.facts.get("group")
        if captions and not alike and own.isdisjoint(captions):
            return captions
    raise BadSampleError(f"of {_TRIES} samples that were drawn, none has captions that are all others than its own")
