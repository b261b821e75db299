"""Secrets in a command line are not written down; everything else is."""

import pytest

from mmx.runs.mask import mask


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--token=abc", "--token=***"),
        ("--wandb-api-key=abc", "--wandb-api-key=***"),
        ("trackers.wandb.apiKey='abc'", "trackers.wandb.apiKey=***"),
        ("WANDB_API_KEY=abc", "WANDB_API_KEY=***"),
        ("--password=a=b", "--password=***"),
        ("https://user:pass@host/x", "https://***@host/x"),
        ("data.url=https://h/x?a=1&token=abc&b=2", "data.url=https://h/x?a=1&token=***&b=2"),
        (
            "https://s3/x?X-Amz-Signature=abc&X-Amz-Credential=def",
            "https://s3/x?X-Amz-Signature=***&X-Amz-Credential=***",
        ),
        ("hf_abcdefghijklmnop", "***"),
        ("name=sk-abcdefghijklmnop", "name=***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
    ],
)
def test_a_secret_is_masked(given: str, expected: str) -> None:
    assert mask([given]) == [expected]


@pytest.mark.parametrize(
    "given",
    [
        "tokenizer.name=bpe",
        "train.steps=50",
        "recipes/keyboard.toml",
        "--set",
        "monkey=1",
        "https://host/x?a=1",
        "optim.lr=1e-3",
        "skate",
    ],
)
def test_what_is_no_secret_stays(given: str) -> None:
    assert mask([given, "x"]) == [given, "x"]


def test_the_value_after_a_secret_option_is_masked() -> None:
    assert mask(["mmx", "--token", "abc", "run", "--api-key", "--x", "y"]) == [
        "mmx",
        "--token",
        "***",
        "run",
        "--api-key",
        "***",
        "y",
    ]
