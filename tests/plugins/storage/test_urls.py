"""Which URLs are read, and what braces stand for."""

import pytest
from pydantic import ValidationError

from mmx_shards.configs import ShardsConfig
from mmx_storage.urls import expand_all, is_malformed, shown


@pytest.mark.parametrize(
    ("pattern", "urls"),
    [
        ("a.tar", ["a.tar"]),
        ("/x/{000..002}.tar", ["/x/000.tar", "/x/001.tar", "/x/002.tar"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{a,b}/{1..2}", ["a/1", "a/2", "b/1", "b/2"]),
        ("memory://x/{a,}.tar", ["memory://x/a.tar", "memory://x/.tar"]),
        ("https://example.org:8080/a.tar", ["https://example.org:8080/a.tar"]),
    ],
)
def test_braces(pattern: str, urls: list[str]) -> None:
    assert expand_all([pattern]) == urls


@pytest.mark.parametrize(
    "url",
    [
        "pipe:cat a.tar",
        "PIPE:x",
        "pipe://x",
        "ssh://host/a.tar",
        "simplecache::http://x/a.tar",
        "github://x",
        "data:abc",
        "http:/x",
        "-:x",
    ],
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="cannot be read: expected a path, or a URL that starts with file://"):
        ShardsConfig(name="shards", urls=(url,))


@pytest.mark.timeout(30)  # the full expansions would take minutes
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{0..1000000000}.tar", "more than 100,000 shards"),
        ("{0..9}" * 7, "more than 100,000 shards"),
        ("{5..1}", "goes backwards"),
        ("{x}", "a range such as"),
        ("data/*.tar", "name shards with braces"),
        ("{a,{b,c}}", "braces within braces"),
        ("{a,b", "without its partner"),
        ("a}b", "without its partner"),
        ("d/" + "{a,b}" * 1500, "more than 100 pairs of braces"),
        ("http://[1/a.tar", "its host is malformed"),
    ],
)
def test_braces_that_cannot_be(pattern: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ShardsConfig.model_validate({"name": "shards", "urls": [pattern]})


def test_messages_show_no_secrets() -> None:
    assert shown("https://user:secret@example.org/a.tar?token=secret#x") == "https://example.org/a.tar"
    assert shown("/data/a b?.tar") == "/data/a b?.tar"
    with pytest.raises(ValueError) as refused:
        expand_all(["ftp://user:secret@example.org/a.tar?token=secret"])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "as_shown"),
    [
        ("http://[::1/x.png", "http://[::1/x.png"),
        ("http://me:secret@[::1/x.png", "http://..."),
        ("http://[::1/x.png?mail=a@b&sig=secret", "http://..."),
        ("http://me:secret@a\u2100b.com/x.png", "http://..."),
        ("file://[x#secret", "file://..."),
    ],
)
def test_malformed_urls_are_shown_without_secrets(url: str, as_shown: str) -> None:
    assert shown(url) == as_shown and is_malformed(url)
    with pytest.raises(ValueError) as refused:
        expand_all([url])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "malformed"),
    [
        ("http://host/x.png", False),
        ("https://me@[2001:db8::1]:8080/x.png", False),
        ("http://stra\u00dfe.example./x.png", False),
        ("http://under_score.example/x", False),
        ("s3://bucket/x", False),
        ("s3://arn:aws:s3:eu-1:1:accesspoint/ap/x", False),
        ("memory:///x", False),
        ("file:///x", False),
        ("s3:///x", True),
        ("http:///x.png", True),
        ("http://host:99999/x", True),
        ("http://host:port/x", True),
        ("http://exa mple.com/x", True),
        ("http://a..b/x", True),
        ("http://" + "a" * 64 + ".com/x", True),
    ],
)
def test_urls_that_can_be_asked_for(url: str, malformed: bool) -> None:
    assert is_malformed(url) == malformed


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match=r"'https://host/a.tar' has a password in it") as caught:
        expand_all(["https://me:secret@host/a.tar"])
    assert "secret" not in str(caught.value)
    assert expand_all(["https://me@host/{a,b}.tar"]) == ["https://me@host/a.tar", "https://me@host/b.tar"]
