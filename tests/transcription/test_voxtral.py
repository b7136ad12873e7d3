"""Voxtral through the same face: its prompt as mistral-common writes it, and its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane import Transcriber
from tramontane.errors import RequestError
from tramontane.tasks.queue import Progress
from tramontane.tasks.subtitles import written

from tests.media.folders import write
from tests.media.sounds import HEARING

from .checkpoints import sound

MARKS = ("[AUDIO]", "[BEGIN_AUDIO]", "[INST]", "[/INST]", "[TRANSCRIBE]")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Transcriber, Any]]:
    folder: Path = tmp_path_factory.mktemp("voxtral")
    theirs = write(folder, replace(HEARING["voxtral"], special=MARKS))
    exact: Any = {"dtype": "f32", "activations": "f32", "kv_type": "f32", "threads": 1}
    with Transcriber(folder, num_ctx=64, **exact) as ours:
        yield ours, theirs


@pytest.mark.parametrize("language", ["de", None])
def test_the_text(language: str | None, pair: tuple[Transcriber, Any]) -> None:
    ours, theirs = pair
    inner = ours.inner.tokenizer
    parts = list(ours.stream((sound(0.8), 16_000), language=language))
    rows = inner.inner.token_to_id("[AUDIO]")
    ids = [
        *(inner.inner.token_to_id(each) for each in ("<s>", "[INST]", "[BEGIN_AUDIO]")),
        *[rows] * 25,
        inner.inner.token_to_id("[/INST]"),
        *(inner.encode(f"lang:{language}", add_special=False) if language else ()),
        inner.inner.token_to_id("[TRANSCRIBE]"),
    ]
    features = torch.from_numpy(
        ours.inner.processors["audio"].prepare(sound(0.8)).arrays["features"]
    )
    tokens: list[int] = []
    while len(ids) + len(tokens) < 64 and tokens[-1:] != [258]:
        with torch.no_grad():
            logits = theirs(torch.tensor([[*ids, *tokens]]), input_features=features).logits
        tokens.append(int(logits[0, -1].argmax()))
    expected = inner.decode(tokens)
    assert parts[-1].text == expected.strip()
    assert parts[-1].language == language
    assert "".join(each for each in parts if isinstance(each, str)) == expected
    assert not any(isinstance(each, Progress) for each in parts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"into": "english"}, "in the language of the sound"),
        ({"timestamps": "word"}, "have no times"),
        ({"prompt": "Mr. X"}, "begin with nothing but the sound"),
        ({"language": "German"}, "a code, such as 'de', not 'German'"),
    ],
)
def test_what_it_cannot(options: dict[str, Any], said: str, pair: tuple[Transcriber, Any]) -> None:
    with pytest.raises(RequestError, match=said):
        pair[0].transcribe((sound(0.2), 16_000), **options)


def test_subtitles_need_times(pair: tuple[Transcriber, Any]) -> None:
    found = pair[0].transcribe((sound(0.2), 16_000))
    assert found.segments == ()
    assert written(found, "text") == f"{found.text}\n"
    if found.text:
        with pytest.raises(RequestError, match="srt needs times, and this model gives none"):
            written(found, "srt")
