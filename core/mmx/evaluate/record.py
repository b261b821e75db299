"""What an evaluation measured: kept with its numbers, so that none is compared with one of something else."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any, final

from typing_extensions import override

from mmx.config import EvaluatorConfig
from mmx.learn.model import Model
from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Record, Result


@final
class Recorded(Evaluator):
    """An evaluator whose results tell what was measured: its options, its samples, and what it tells by itself."""

    def __init__(self, evaluator: Evaluator, config: EvaluatorConfig, dataset: Dataset | None) -> None:
        self.evaluator = evaluator
        self._config = config
        self._dataset = dataset
        self._data: Mapping[str, Any] | None = None

    @override
    def check(self, model: Model) -> None:
        self.evaluator.check(model)

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        found = self.evaluator.evaluate(subject)
        if self._data is None:
            self._data = {} if self._dataset is None else data_of(self._dataset)
        return replace(found, record=record_of(self._config, self._data, found.about))


def data_of(dataset: Dataset) -> dict[str, Any]:
    """Return how many samples a dataset has, and the sha256 of their keys in order."""
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(dataset.key(index).encode("utf-8", "surrogatepass") + b"\0")
    return {"samples": len(dataset), "keys": digest.hexdigest()}


def record_of(config: EvaluatorConfig, data: Mapping[str, Any], about: Mapping[str, Any]) -> Record:
    """Return the record of one evaluation."""
    options = config.model_dump(mode="json", exclude_none=True, exclude=set(config.unmeasured))
    versions = {"python": platform.python_version(), "mmx": version("mmx"), "torch": version("torch")}
    return Record(_sha256({"evaluator": options, "data": data, "about": about}), options, data, about, versions)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
