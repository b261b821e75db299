"""A stand-in for the package wandb. FAKE_WANDB says how it misbehaves, FAKE_WANDB_LOG where it writes its calls."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Never


def _wrong(kind: str) -> bool:
    wrong = os.environ.get("FAKE_WANDB", "").split()
    return kind in wrong or (f"online_{kind}" in wrong and os.environ.get("FAKE_MODE") == "online")


def _note(call: str, **values: Any) -> None:
    with Path(os.environ["FAKE_WANDB_LOG"]).open("a") as file:
        file.write(json.dumps({"call": call, "pid": os.getpid(), **values}) + "\n")


def _hang() -> Never:
    while True:
        time.sleep(60)


class Settings:
    def __init__(self, **values: Any) -> None:
        self.values = values


class Image:
    def __init__(self, picture: Any, caption: str = "") -> None:
        self.size, self.caption = picture.size, caption


class Table:
    def __init__(self, columns: list[str], data: list[list[Any]], allow_mixed_types: bool = False) -> None:
        self.columns, self.data = columns, data


def _plain(value: Any) -> Any:
    if isinstance(value, Table):
        return [value.columns, *value.data]
    return [image.caption for image in value] if isinstance(value, list) else value


class Run:
    def __init__(self, mode: str, folder: str) -> None:
        self.url = "https://example.invalid/run" if mode == "online" else None
        self.dir = f"{folder}/wandb/offline-run-x/files"
        self.summary: dict[str, Any] = {}

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        _note("define_metric", name=name, step_metric=step_metric)

    def log(self, values: dict[str, Any]) -> None:
        if _wrong("log_raises"):
            raise ConnectionResetError("the service is gone")
        if _wrong("disk_full"):
            raise OSError(28, "No space left on device")
        if _wrong("log_hangs"):
            _hang()
        plain = {name: _plain(value) for name, value in values.items()}
        _note("log", values=plain)

    def finish(self, exit_code: int) -> None:
        if _wrong("finish_hangs"):
            _hang()
        _note("finish", exit_code=exit_code, summary=self.summary)


def init(mode: str, dir: str, settings: Settings, **values: Any) -> Run:
    os.environ["FAKE_MODE"] = mode
    _note("init", mode=mode, **values)
    print("wandb prints what it likes")
    if _wrong("init_raises"):
        raise RuntimeError(f"no server; key {os.environ.get('WANDB_API_KEY', '')} is not the reason")
    if _wrong("init_hangs"):
        _hang()
    if _wrong("init_exits"):
        os._exit(9)
    return Run(mode, dir)
