"""The kinds that a plugin can be started with."""

import pytest

from mmx.errors import RecipeError
from mmx.plugin import kinds as core
from mmx_scaffold.files import TEMPLATES
from mmx_scaffold.kinds import KINDS, kind_of


def test_every_kind_but_the_engine_has_a_template() -> None:
    assert set(KINDS) == set(core.KINDS) - {"engine", "command", "kind"}
    assert {path.name for path in TEMPLATES.iterdir() if path.name != "__pycache__"} == {*KINDS, "package"}


@pytest.mark.parametrize(
    ("name", "kind"), [("loss", "loss"), ("encoder", "image_encoder"), ("transform", "image_transform")]
)
def test_short_names(name: str, kind: str) -> None:
    assert kind_of(name).kind == kind


@pytest.mark.parametrize(
    ("name", "expected"), [("losss", "did you mean 'loss'"), ("teacher", "kinds: image_enc"), ("engine", "no template")]
)
def test_others_are_refused(name: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        kind_of(name)
