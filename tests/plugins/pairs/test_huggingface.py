"""Hugging Face datasets, made here and saved; the hub is never asked."""

import gc
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mmx.errors import DataError, MissingPackageError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.config_rows import HuggingFaceConfig
from mmx_pairs.huggingface import HuggingFace

datasets = pytest.importorskip("datasets")

Write = Callable[[Mapping[str, bytes | str]], Path]
Picture = Callable[[int], bytes]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return folder


def saved(path: Path, picture: Picture, **options: Any) -> HuggingFace:
    return HuggingFace(HuggingFaceConfig.model_validate({"name": "huggingface", "path": str(path), **options}))


def made(pictures: list[dict[str, Any]]) -> Any:
    count = len(pictures)
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.List(datasets.Value("string")),
            "score": datasets.Value("float64"),
        }
    )
    columns = {
        "image": pictures,
        "caption": [[f"caption {number}", ""] for number in range(count)],
        "score": [number / 2 for number in range(count)],
    }
    return datasets.Dataset.from_dict(columns, features=features)


def test_a_saved_dataset(tmp_path: Path, picture: Picture) -> None:
    pictures = [{"bytes": data, "path": None} for data in (picture(0), b"not a picture", picture(2))]
    made(pictures).save_to_disk(str(tmp_path / "saved"))
    dataset = saved(tmp_path / "saved", picture)
    assert len(dataset) == 3 and dataset.key(2) == "000002"
    assert dataset.raw(0).image == picture(0), "as stored: not decoded and encoded again"
    assert dataset.read(2).texts == ("caption 2",) and dataset.raw(2).fields == {"score": 1.0}
    with pytest.raises(BadSampleError, match="000001: not a JPEG"):
        dataset.read(1)
    assert dataset.columns(["score"])["score"].tolist() == [0.0, 0.5, 1.0]
    assert pickle.loads(pickle.dumps(dataset)).raw(2).image == picture(2)
    with pytest.raises(IndexError):
        dataset.read(3)
    config = HuggingFaceConfig.at("huggingface", str(tmp_path / "saved"))
    assert config is not None and config.path == str(tmp_path / "saved")
    assert HuggingFaceConfig.at("huggingface", str(tmp_path)) is None


def test_a_row_that_cannot_be_read_costs_no_other(tmp_path: Path, picture: Picture) -> None:
    made([{"bytes": picture(at), "path": None} for at in range(3)]).save_to_disk(str(tmp_path / "saved"))
    dataset = saved(tmp_path / "saved", picture)
    rows: Any = dataset.parts[0][1]
    real = type(rows.dataset).__getitem__

    def torn(held: Any, key: Any) -> Any:
        if 1 in (range(3)[key] if isinstance(key, slice) else [key]):
            raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "torn")
        return real(held, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(rows.dataset), "__getitem__", torn)
        assert [row and row["score"] for row in rows.scan(["score"])] == [0.0, None, 1.0]
        with pytest.raises(BadSampleError, match=r"row 1 of .*: column image cannot be read: UnicodeDecodeError"):
            dataset.raw(1)


def test_splits(tmp_path: Path, picture: Picture) -> None:
    one = made([{"bytes": picture(0), "path": None}])
    datasets.DatasetDict({"train": one, "val": one}).save_to_disk(str(tmp_path / "saved"))
    assert len(saved(tmp_path / "saved", picture, split="val")) == 1
    with pytest.raises(DataError, match=r"has no split 'test' \(it has: train, val\)"):
        len(saved(tmp_path / "saved", picture, split="test"))


def test_paths_stay_inside_the_dataset(tmp_path: Path, picture: Picture) -> None:
    (secret := tmp_path / "secret.png").write_bytes(picture(9))
    (folder := tmp_path / "tables").mkdir()
    pq.write_table(made([{"bytes": None, "path": str(secret)}]).data.table, folder / "train.parquet")
    with datasets.load_dataset(str(folder), split="train")[0]["image"] as naive:
        assert naive.getpixel((0, 0)) == (9, 0, 0), "the library itself reads whatever file a dataset names"
    with pytest.raises(BadSampleError, match="lies out of the folder"):
        saved(folder, picture).raw(0)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the library leaves the table open
def test_a_folder_of_pictures_with_their_builder(write: Write, picture: Picture) -> None:
    folder = write({"1.png": picture(1), "2.png": picture(2), "metadata.csv": "file_name,text\n1.png,one\n2.png,two\n"})
    dataset = saved(folder, picture)
    assert [dataset.raw(index).image for index in range(2)] == [picture(1), picture(2)]
    assert dataset.read(1).texts == ("two",)
    gc.collect()


def test_code_of_a_dataset_is_not_run(write: Write, picture: Picture, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    folder = write(
        {"data.py": f"open({str(mark)!r}, 'w')\nimport datasets\nclass A(datasets.GeneratorBasedBuilder): pass\n"}
    )
    with pytest.raises(DataError, match="cannot be loaded"):
        len(saved(folder, picture))
    assert not mark.exists()
    subprocess.run([sys.executable, folder / "data.py"], check=False, capture_output=True)
    assert mark.exists(), "the code does what it says"


def test_a_name_that_is_not_there(picture: Picture) -> None:
    with pytest.raises(DataError, match="dataset no/such-pairs, split train, cannot be loaded: "):
        len(saved(Path("no/such-pairs"), picture))


def test_without_the_package(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'mmx\[hf\]'"):
        len(saved(tmp_path, picture))
