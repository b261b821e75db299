# pyright: basic, reportMissingImports=false
# ruff: noqa: RUF001, E501
"""Write tests/plugins/clip/golden_tokens.json: ids of varied texts by open_clip's own tokenizer.

Run in an environment of its own, from the root of the repository:

    pip install torch==2.13.0 numpy ftfy regex
    pip install --no-deps open-clip-torch==3.3.0
    python tests/golden/make_tokens.py              # write the file
    python tests/golden/make_tokens.py --check 20000  # compare with mmx on random texts; needs mmx installed

Only open_clip's tokenizer file is loaded: the package as a whole would need torchvision.
"""

import argparse
import importlib.util
import json
import random
from pathlib import Path
from types import ModuleType

OUT = Path(__file__).parents[1] / "plugins" / "clip" / "golden_tokens.json"

BY_HAND = [
    "", " ", "\t\n ", "a", "!", "é", "0", "'s", "a photo of a cat", "A PHOTO of a CAT.", "a photo of a cat, isn't it?",
    "they'll we've I'm you'd he's don't THEY'RE", "don’t “quote” — dash…", "rock 'n' roll", "2,147,483,647 3.14 1e-9 ½ ² ٣ Ⅷ",
    "a  lot   of\tspace\r\nand lines\x0b\x0c", "&amp; &lt;b&gt; &amp;amp;lt; &nbsp; &#39; &#x27; &eacute; &NotAnEntity; &copy",
    "<b>bold</b> &amp; <i>it</i>", "caf\u00c3\u00a9 na\u00c3\u00afve \u00e2\u20ac\u0153mojibake\u00e2\u20ac\u009d",
    "\x1b[31mred\x1b[0m", "a\x00b\x07c\x7f", "\ufeffbyte order mark", "soft\u00adhyphen zero\u200bwidth \u2028 line \u2029 par",
    "ﬁne ﬂow ﬀ ŉ ǆ", "ａｂｃ １２３ ！", "İstanbul ıI ſS K Å ß ẞ", "Ωμέγα Привет мир", "日本語のテキスト", "カタカナﾊﾝｶｸ", "中文 字符，标点。",
    "한국어 문장", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "ภาษาไทย", "👍", "👩‍👩‍👧‍👦 family 🇩🇪 flag 👋🏽 wave", "❤️‍🔥☃️⌘", "e\u0301 vs é, n\u0303 vs ñ",
    "<start_of_text>", "a <END_OF_TEXT> b", "<start_of_text", "<|endoftext|>", "https://example.org/a?b=c&d=e#f", "user@example.org @user #tag",
    "C:\\path\\file.txt", "{}[]()<>~`^|\\/\"", "........", "-" * 300, "!" * 300, "a" * 500, "ab" * 400, "word " * 200, "é" * 300,
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", "x1y2z3 4k 8k UHD", "under_score __init__",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\ud7ff\ue000\uf8ff\ufffd", "\U0010ffff\U0001d11e",
    "salt & pepper", "&", "a &", "& b", "R&B & soul &amp; funk &", "a &\tb", "a & ;amp", "&\u00a0b", "a  & &  b", "NULL none nan inf", "ctrl\x80\x85\x9f latin-1", "mixed日本語and English текст 123",
]  # fmt: skip

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz      ",
    "".join(map(chr, range(32, 127))) + "\n\t",
    "".join(map(chr, range(1, 0x250))),
    "的一是不了人我在有他这中大来上国日本語ひらがなカタカナ한국어 ",
    "😀👩\u200d👧🏽🇩🇪❤️🔥 abc",
    "&amp;lt;gt;nbsp;#39;#x27;quot;eacute; ab",
    "àéîõüßñçÅİıſKﬁﬂ’“”…—–\u00a0\u3000 'sTRE",
    "مرحباשלוםनमस्तेไทย 0123456789٣½²",
]
WORDS = [
    "The", "don't", "I'LL", "we've", "it's", "<start_of_text>", "<END_OF_TEXT>", "a&b", "&AMP;lt;", "caf\u00c3\u00a9",
    "----------", "!!!", "aaaaaaaaaaaa", "1999", "\x1b[31mred", "x\x85y", "\ufeffbom", "sch\u00f6n", "photograph", "of",
]  # fmt: skip


def texts(count: int) -> list[str]:
    """Return random texts of many scripts and lengths, the same for the same count."""
    draw = random.Random(count)
    made: list[str] = []
    while len(made) < count:
        if draw.random() < 0.3:
            made.append(" ".join(draw.choice(WORDS) for _ in range(draw.randrange(40))))
        elif draw.random() < 0.1:
            codes = [draw.randrange(1, 0x110000) for _ in range(draw.randrange(20))]
            made.append("".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000))
        else:
            alphabet = draw.choice(ALPHABETS)
            made.append("".join(draw.choice(alphabet) for _ in range(draw.choice([1, 3, 10, 40, 200]))))
    return made


def tokenizer_file() -> ModuleType:
    """Load open_clip/tokenizer.py alone."""
    package = importlib.util.find_spec("open_clip")
    assert package is not None and package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ids(tokenizer, text: str) -> list[int]:
    """Return a row without its padding, which has the id of "!" too: 77 ids at most, the last one the end."""
    row = tokenizer([text])[0].tolist()
    return row[: min(len(tokenizer.encode(text)) + 2, 77)]


def check(count: int) -> None:
    """Compare with mmx's tokenizer, and say how many texts differ."""
    from mmx_clip.configs import ClipTokenizerConfig
    from mmx_clip.tokenizer import ClipTokenizer

    ours, theirs = ClipTokenizer(ClipTokenizerConfig(name="clip")), tokenizer_file().SimpleTokenizer()
    different = [text for text in BY_HAND + texts(count) if ours.encode(text) != ids(theirs, text)]
    print(f"{len(BY_HAND) + count} texts, {len(different)} different {different[:3]}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", type=int, metavar="COUNT")
    if (count := arguments.parse_args().check) is not None:
        check(count)
    else:
        reference = tokenizer_file().SimpleTokenizer()
        rows = [{"text": text, "ids": ids(reference, text)} for text in BY_HAND + texts(200)]
        OUT.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
        print(f"wrote {OUT}: {len(rows)} texts, {OUT.stat().st_size} bytes")
