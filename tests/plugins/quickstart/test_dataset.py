"""The embedded drawings: what is trained, what is held out, and what is there to read."""

import hashlib
import json
import pickle

import pytest

from mmx_quickstart.concepts import DATA, groups, held_out, read_concepts
from mmx_quickstart.config import EmojiConfig
from mmx_quickstart.dataset import Emoji

TRAINING = ["noto", "twemoji", "openmoji"]


def emoji(**options: object) -> Emoji:
    return Emoji(EmojiConfig.model_validate({"name": "emoji", "split": "train", "styles": TRAINING, **options}))


def test_there_are_1906_concepts_with_names_of_their_own() -> None:
    concepts = read_concepts()
    assert len(concepts) == 1906
    assert len({concept.label for concept in concepts}) == 1906


def test_no_training_drawing_shows_a_held_out_concept_in_any_style() -> None:
    train = emoji()
    held = held_out(read_concepts(), 0.1, 0)
    assert len(held) == 191
    assert len(train) == 3 * (1906 - 191)
    codes = {train.key(index).partition("/")[2].partition("-")[2] for index in range(len(train))}
    assert not codes & held


def test_the_test_split_has_every_drawing_and_the_groups_of_the_report() -> None:
    test = emoji(split="test", styles=["fluent"])
    assert len(test) == 1852
    found = test.classes().groups
    assert next(iter(found)) == "trained"
    assert not set(found["trained"]) & set(found["unseen"])
    assert len(found["trained"]) + len(found["unseen"]) + len(found["flags"]) == 1906


def test_the_held_out_concepts_follow_their_own_seed() -> None:
    concepts = read_concepts()
    assert held_out(concepts, 0.1, 0) == held_out(concepts, 0.1, 0)
    assert held_out(concepts, 0.1, 0) != held_out(concepts, 0.1, 1)
    assert held_out(concepts, 0.0, 0) == set()


def test_flags_are_reported_apart() -> None:
    concepts = read_concepts()
    flags = groups(concepts, set())["flags"]
    assert all("flag" in concepts[label].label.lower() for label in flags)


def test_a_sample_has_its_picture_name_and_place_in_the_list() -> None:
    train = emoji(captions="name_and_tags")
    index = next(i for i in range(len(train)) if train.key(i).endswith("noto-1f431"))
    sample = train.read(index)
    assert sample.texts[0] == "cat face"
    assert "cat" in sample.texts[1:]
    assert sample.image is not None and sample.image.size == (48, 48)
    label = sample.facts["label"]
    assert isinstance(label, int) and train.classes().names[label] == "cat face"


def test_drawings_of_one_concept_share_a_group() -> None:
    train = emoji()
    same = [i for i in range(len(train)) if train.key(i).endswith("-1f431")]
    assert len(same) == 3
    assert len({train.read(i).facts["group"] for i in same}) == 1


def test_travels_to_a_worker() -> None:
    train = emoji()
    train.read(0)
    again = pickle.loads(pickle.dumps(train))
    assert again.read(5).texts == train.read(5).texts


@pytest.mark.parametrize("style", [*TRAINING, "fluent"])
def test_every_drawing_can_be_read_and_no_two_are_the_same_file(style: str) -> None:
    drawings = emoji(split="test", styles=[style])
    seen = {hashlib.sha256(drawings.read(i).image.tobytes()).digest() for i in range(len(drawings))}  # pyright: ignore
    assert len(seen) > 0.95 * len(drawings)


def test_licences_lie_beside_the_data() -> None:
    assert (DATA / "openmoji.tar.license").is_file()
    assert len(list((DATA / "LICENSES").iterdir())) >= 4
    assert json.loads((DATA / "concepts.json").read_text())
