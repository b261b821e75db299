"""What an evaluation records: alike where nothing that matters differs, and needs that are checked beforehand."""

from typing import final

import pytest
from typing_extensions import override

from mmx.config import EvaluatorConfig
from mmx.errors import RecipeError
from mmx.evaluate.build import check_evaluators
from mmx.evaluate.record import Recorded, data_of, record_of
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx_kit.samples import PartnerDataset
from mmx_kit.uses import subject


@final
class Lookup(Evaluator):
    needs = ("similarity", "fuse")

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        return Result("a", {"a": Number(1.0)}, about={"names": ["cat"]})


def test_the_record_tells_options_samples_names_and_versions() -> None:
    data = PartnerDataset()
    record = Recorded(Lookup(), EvaluatorConfig(name="lookup", every=5), data).evaluate(subject()).record
    assert record is not None
    assert record.evaluator == {"name": "lookup"} and record.about == {"names": ["cat"]}
    assert record.data["samples"] == len(data) and {"mmx", "torch", "python"} == set(record.versions)


def test_identity_is_of_what_changes_numbers() -> None:
    data = data_of(PartnerDataset())

    def identity(config: EvaluatorConfig, about: object, data: dict[str, object] = data) -> str:
        return record_of(config, data, {"names": about}).identity

    first = identity(EvaluatorConfig(name="a"), ["cat"])
    assert identity(EvaluatorConfig(name="a", every=9), ["cat"]) == first
    others = [
        identity(EvaluatorConfig(name="b"), ["cat"]),
        identity(EvaluatorConfig(name="a"), ["dog"]),
        identity(EvaluatorConfig(name="a"), ["cat"], {**data, "keys": "0"}),
    ]
    assert len({first, *others}) == 4


def test_a_model_that_lacks_what_is_measured_is_refused_by_name() -> None:
    evaluator = Recorded(Lookup(), EvaluatorConfig(name="lookup"), None)
    with pytest.raises(RecipeError, match=r"evaluators\.mine: needs a model with `fuse`, which the fusion Partner"):
        check_evaluators({"mine": evaluator}, subject().model)
