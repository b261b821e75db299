"""Datasets: samples by index that are the same whoever reads them, in whatever order."""

import random
from typing import Any, Final, cast

import numpy as np
import torch
from PIL import Image

from mmx.config import DatasetConfig
from mmx.errors import DataError
from mmx.parts.dataset import MEASURES, BadSampleError, Dataset, Sample
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError
from mmx_kit.globals_kept import restored
from mmx_kit.streams import compare_streams
from mmx_kit.uses import looked_at, read

_KIND: Final = ("dataset",)
_KEYS: Final = 10_000
"""Keys that are compared with each other."""


def _length_and_keys(case: Case) -> None:
    dataset: Dataset = case.build()
    count = len(dataset)
    if not count > 0:
        raise BrokenError(f"its example has {count} samples; give example() some")
    keys = [dataset.key(index) for index in range(min(count, _KEYS))]
    wrong = next((key for key in keys if not (isinstance(key, str) and key)), None)  # pyright: ignore[reportUnnecessaryIsInstance]
    if wrong is not None:
        raise BrokenError(f"a key is a text that is not empty, not {wrong!r}")
    if len(set(keys)) < len(keys):
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise BrokenError(f"two samples have the key '{twice}'; resuming and reports name samples by their keys")
    for index in looked_at(dataset):
        sample = _sample(dataset, index)
        if sample is not None and sample.key != dataset.key(index):
            raise BrokenError(f"key({index}) is '{dataset.key(index)}', but read({index}).key is '{sample.key}'")
    if len(dataset) != count:
        raise BrokenError(f"its length was {count}, and is {len(dataset)} after some samples were read")


def _outside(case: Case) -> None:
    dataset: Dataset = case.build()
    count = len(dataset)
    for index in looked_at(dataset) * 2:
        try:
            _sample(dataset, index)
        except (StopIteration, EOFError) as error:
            raise BrokenError(
                f"read({index}) raises {type(error).__name__} once others were read: every sample can be read any time"
            ) from error
    try:
        sample = dataset.read(count)
    except Exception:
        return
    raise BrokenError(f"read({count}) returns '{sample.key}', but there are {count} samples: expected an IndexError")


def _samples(case: Case) -> None:
    dataset: Dataset = case.build()
    good = [sample for index in looked_at(dataset) if (sample := _sample(dataset, index)) is not None]
    if not good:
        raise BrokenError("every sample is a BadSampleError")
    wordless = dataset.classes() is not None or "text" not in cast(DatasetConfig, case.config).modalities()
    types = dict[str, type]()
    for sample in good:
        for picture in (sample.image, *sample.more):
            _check_picture(sample.key, picture)
        texts: object = sample.texts
        if not isinstance(texts, tuple) or not all(isinstance(text, str) for text in sample.texts):  # pyright: ignore
            raise BrokenError(f"{sample.key}: texts is a tuple of strings, not {texts!r}")
        if not (sample.texts or sample.roles or wordless):
            raise BrokenError(f"{sample.key}: has no text, and the dataset has no classes; raise BadSampleError")
        for name, fact in sample.facts.items():
            _check_fact(sample.key, name, fact, types.setdefault(name, type(fact)))


def _check_fact(key: str, name: str, fact: object, expected: type) -> None:
    whole = type(fact) is int and -(2**63) <= fact < 2**63
    numbers = type(fact) is float or (isinstance(fact, tuple) and all(type(one) is float for one in cast("Any", fact)))
    if not (whole or numbers):
        wanted = "a whole number of 64 bits, a float or a tuple of floats"
        raise BrokenError(f"{key}: the fact '{name}' is {wanted}, not {fact!r}")
    if type(fact) is not expected:
        raise BrokenError(f"{key}: the fact '{name}' is of another type than in other samples: {fact!r}")


def _check_picture(key: str, image: object) -> None:
    if image is None:
        return
    if not isinstance(image, Image.Image):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BrokenError(f"{key}: the picture is a PIL image, not a {type(image).__name__}")
    try:
        image.convert("RGB")
    except Exception as error:
        raise BrokenError(f"{key}: the picture cannot be converted to RGB: {error}") from error


def _same_again(case: Case) -> None:
    dataset: Dataset = case.build()
    places = looked_at(dataset)
    first = {index: read(dataset, index) for index in places}
    other: Dataset = case.build(seed=1)
    with restored():
        torch.manual_seed(91)
        np.random.seed(91)
        random.seed(91)
        for what, reader, order in (
            ("read again", dataset, places),
            ("read in another order", dataset, places[::-1]),
            ("read by a new instance in another order", other, places[::-1]),
        ):
            for index in order:
                if read(reader, index) != first[index]:
                    raise BrokenError(f"{dataset.key(index)} is another sample when it is {what}")


def _fresh_pictures(case: Case) -> None:
    dataset: Dataset = case.build()
    for index in looked_at(dataset):
        sample = _sample(dataset, index)
        if sample is None or sample.image is None:
            continue
        before = read(dataset, index)
        corner = sample.image.convert("L").getpixel((0, 0))
        sample.image.paste("white" if corner != 255 else "black", (0, 0, *sample.image.size))
        if read(dataset, index) != before:
            raise BrokenError(f"{sample.key}: who draws into the picture changes the next read; return a copy of it")


def _classes(case: Case) -> None:
    dataset: Dataset = case.build()
    classes = dataset.classes()
    if classes is None:
        raise NotApplicableError("it has no classes")
    count = len(classes.names)
    if not count or not all(isinstance(name, str) and name for name in classes.names):  # pyright: ignore
        raise BrokenError("class names are texts that are not empty, at least one")
    wrong = [template for template in classes.templates if "{}" not in template]
    if wrong or not classes.templates:
        raise BrokenError(f"a template needs {{}} where the class name goes: {wrong[0] if wrong else 'there is none'}")
    for name, members in classes.groups.items():
        if not all(0 <= member < count for member in members):
            raise BrokenError(f"the group '{name}' has labels that are not below the {count} names")
    for index in looked_at(dataset):
        sample = _sample(dataset, index)
        if sample is not None and sample.facts.get("label") not in range(count):
            has = sample.facts.get("label", "no label")
            raise BrokenError(
                f"{sample.key}: the fact 'label' is 0 to {count - 1}, the place of its name; it has {has}"
            )


def _runs_and_columns(case: Case) -> None:
    dataset: Dataset = case.build()
    count = len(dataset)
    runs = list(dataset.runs())
    if sum(runs) != count or min(runs) < 1:
        raise BrokenError(f"runs() are sizes above 0 whose sum is its length {count}, not {runs[:8]}")
    columns = dataset.columns(MEASURES)
    for name, column in columns.items():
        if np.shape(column) != (count,):
            raise BrokenError(f"columns() has one {name} for each of its {count} samples, not {np.shape(column)}")
    for index in looked_at(dataset):
        sample = _sample(dataset, index)
        longest = 0 if sample is None else max(map(len, sample.texts), default=0)
        if sample is not None and columns["characters"][index] != longest:
            has = columns["characters"][index]
            raise BrokenError(f"{sample.key}: its longest caption has {longest} characters, but columns() says {has}")
    before = [read(dataset, index) for index in looked_at(dataset)]
    dataset.ahead(looked_at(dataset))
    if [read(dataset, index) for index in looked_at(dataset)] != before:
        raise BrokenError("samples are others after ahead(), which only fetches them sooner")


def _stream(case: Case) -> None:
    compare_streams(case.build)


def _sample(dataset: Dataset, index: int) -> Sample | None:
    """Read a sample, None if it is bad."""
    try:
        return dataset.read(index)
    except BadSampleError as error:
        if not str(error).strip():
            raise BrokenError(f"{dataset.key(index)}: a BadSampleError says why, and this one is empty") from error
        return None
    except DataError as error:
        raise BrokenError(f"its example cannot be read: {error}") from error


DATASET_CHECKS: Final = (
    Check("length and keys", "a fixed length; one key a sample, the same from key and read", _KIND, _length_and_keys),
    Check("end", "there is nothing behind the last sample, and reading uses nothing up", _KIND, _outside),
    Check("samples", "pictures, a tuple of texts, facts that are numbers or vectors of one type", _KIND, _samples),
    Check("same again", "a sample is the same however often, in whatever order it is read", _KIND, _same_again),
    Check("fresh pictures", "who changes a picture does not change the next read", _KIND, _fresh_pictures),
    Check("classes", "labels are places in the list of names; templates have a place for them", _KIND, _classes),
    Check(
        "runs and columns", "sizes of runs and numbers for filters are those of its samples", _KIND, _runs_and_columns
    ),
    Check("resuming", "the stream is the same from the middle on, and with another number of workers", _KIND, _stream),
)
