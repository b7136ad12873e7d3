"""Options from Python: every one is checked by type and range before anything is loaded."""

from __future__ import annotations

import inspect
import math
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, AsyncLLM
from tramontane.checkpoint.load_options import CHECKS as LOAD
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.engine.options import CHECKS as ENGINE
from tramontane.engine.options import EngineOptions
from tramontane.errors import RequestError
from tramontane.hub.options import CHECKS as HUB
from tramontane.hub.options import HubOptions
from tramontane.media.options import CHECKS as MEDIA
from tramontane.media.options import MediaOptions
from tramontane.option_checks import a_text, check_options, whole

CLASSES: Any = {EngineOptions: ENGINE, LoadOptions: LOAD, HubOptions: HUB, MediaOptions: MEDIA}
NAMES = [name for name in inspect.signature(LLM.__init__).parameters if name != "self"]
WHOLE = ("batch_size", "max_seqs", "kv_tokens", "max_batched_tokens", "state_slots", "threads",
         "num_ctx", "max_edge", "max_num_images", "media_cache", "max_waiting")  # fmt: skip
FROM_ZERO = ("media_cache", "max_waiting")
TEXTS = ("token_source", "revision", "device", "kv_memory", "draft", "tool_caller")
FLAGS = ("mmap", "force", "prefix_cache")
PATHS = ("model", "cache_dir", "topology", "imatrix", "calibration_file", "chat_template")
WRONG: list[tuple[str, Any]] = [
    *((name, object()) for name in NAMES),  # a new option without a check is taken, and fails this
    *((name, value) for name in WHOLE for value in ("x", "4", -1, 1.5, math.nan, True, [])),
    *((name, 0) for name in WHOLE if name not in FROM_ZERO),
    *((name, value) for name in TEXTS for value in ("", 7, b"x", ["x"])),
    *((name, value) for name in FLAGS for value in (0, 1, "yes", None)),
    *((name, value) for name in PATHS for value in ("", 7, b"x")),
    *((name, value) for name in ("quant", "isq") for value in (1, 9, "", 4.0, True)),
    *((name, value) for name in ("dtype", "activations", "kv_type", "isq_organization")
      for value in ("x", "", None, 7)),
    *(("video_fps", value) for value in (0, -1, math.inf, "x", True)),
    *(("queue_timeout", value) for value in (-1, math.nan, "x", True)),
    *(("mmproj", value) for value in (True, 0, "", 7)),
    *(("overrides", value) for value in (0, "x", {7: 1}, [])),
    ("adapters", {"a": (".", "x")}), ("adapters", {"a b": "."}), ("fetch", 7),
    ("registry", "x"), ("progress", 7), ("mcp", 7),
]  # fmt: skip


@pytest.mark.parametrize("kind", [LLM, AsyncLLM])
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_every_option_is_checked_before_anything_is_loaded(
    kind: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tramontane.model.loaded_model.find_model", _unexpected)
    with pytest.raises(RequestError) as caught:
        kind(**{name: value})
    said = str(caught.value)
    assert name in said or name == "adapters", said
    assert "should be" in said or "is no" in said, said
    assert name == "adapters" or repr(value)[:30] in said, said


def _unexpected(*_: Any) -> Any:
    raise AssertionError("it was not checked")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_field_has_a_check_that_takes_its_default(kind: Any) -> None:
    assert CLASSES[kind].keys() == {field.name for field in fields(kind)}
    kind()
    for field in fields(kind):
        with pytest.raises(RequestError, match=f"^{field.name} should be .*, not <object"):
            kind(**{field.name: object()})
        if field.default is not MISSING:
            kind(**{field.name: field.default})


def test_what_is_taken() -> None:
    import numpy as np

    LoadOptions(threads=np.int64(2), num_ctx=8, mmproj="org/name:a.gguf", isq=4, topology=Path("x"))
    EngineOptions(queue_timeout=0, max_waiting=0, media_cache=0, kv_memory="40%")


def test_a_message_names_option_value_and_what_is_allowed() -> None:
    with pytest.raises(RequestError, match=r"^n should be a whole number from 1 on, not -1$"):
        check_options({"n": -1}, {"n": whole()})
    with pytest.raises(
        RequestError, match=r"^n should be a whole .* from 1 to 4,096, or None, not"
    ):
        check_options({"n": 5000}, {"n": whole(1, 4096, none=True)})
    with pytest.raises(RequestError, match=r"^name should be a text, not 'a.x00b'$"):
        check_options({"name": "a\0b"}, {"name": a_text()})
    with pytest.raises(KeyError):
        check_options({"new": 1}, {})
