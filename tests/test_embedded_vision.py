"""The small model that sees, as its pages show it: drawn by a command, and asked by another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tramontane import LLM, SamplingParams
from tramontane.cli.conversation import Conversation
from tramontane.errors import UsageError

ROOT = Path(__file__).parents[1]
DRAW = ROOT / "plugins/embedded-vision/training/pictures.py"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """As docs/images.md draws it."""
    page = (ROOT / "docs/images.md").read_text("utf-8")
    (code,) = [
        part.partition("```")[0] for part in page.split("```python")[1:] if "polygon" in part
    ]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 0
    (path,) = tmp_path.glob("*.png")
    return path


def test_the_pictures_page_shows_what_happens(run: Run, star: Path) -> None:
    page = (ROOT / "docs/images.md").read_text("utf-8")
    asked = ("run", "embedded-vision", "--image", star, "-i", "What is in the picture?")
    status, out, err = run(*asked)
    assert status == 0
    assert (
        f'tramontane run embedded-vision --image {star.name} -i "What is in the picture?"' in page
    )
    assert f"\n{out}" in page
    assert " t/s" in err


def test_the_command_of_the_page_draws_pictures_that_are_named_right(
    run: Run, tmp_path: Path
) -> None:
    command = [sys.executable, str(DRAW), "--out", str(tmp_path / "drawn"), "-n", "3"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(drawn) == 3
    for path in map(Path, drawn):
        _, out, _ = run("run", "embedded-vision", "--image", path, "-i", "What do you see?", "-q")
        assert out.strip().replace(", ", " and ").replace(" ", "-") == path.stem


def test_it_is_known_by_its_name(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("inspect", "embedded-vision")
    assert status == 0
    assert "text and images" in out
    image = tmp_path / "blank.png"
    Image.new("RGB", (50, 80), "white").save(image)
    _, out, _ = run("run", "embedded-vision", "--image", image, "-i", "What is it?", "--json")
    answer = json.loads(out)
    assert answer["model"] == "embedded-vision"
    assert answer["usage"]["image_tokens"] == 16


def test_without_a_picture_it_says_so(run: Run) -> None:
    _, out, _ = run("run", "embedded-vision", "-i", "What is in the picture?", "--quiet")
    assert out == "I see no picture.\n"


def test_a_new_conversation_has_nothing_attached(star: Path) -> None:
    with LLM("embedded-vision") as llm:
        conversation = Conversation(llm)
        conversation.attach(star)
        assert conversation.attached
        conversation.clear()
        assert not conversation.attached


def test_undo_takes_back_what_is_attached_first(star: Path, tmp_path: Path) -> None:
    params = SamplingParams(max_tokens=4)
    with LLM("embedded-vision", device="reference") as llm:
        conversation = Conversation(llm)
        conversation.ask("Hello", params, lambda text: None)
        conversation.attach(star)
        assert conversation.undo() == str(star)
        assert not conversation.attached
        assert len(conversation.messages) == 2, "the message before stays"
        assert conversation.undo() == "Hello"
        assert conversation.undo() is None
        conversation.save(tmp_path / "saved")
        conversation.attach(star)
        conversation.load(tmp_path / "saved")
        assert not conversation.attached, "it was for another conversation"


def test_no_model_of_safetensors_is_without_its_encoder(run: Run) -> None:
    status, _, err = run("run", "embedded-vision", "--no-mmproj", "-i", "Hello")
    assert status == 2
    assert "--no-mmproj: " in err
    assert "its encoder is among its own weights" in err
    status, _, err = run("run", "--no-mmproj", "--mmproj", "x.gguf", "-i", "Hello")
    assert status == 2
    assert "--mmproj" in err
    with pytest.raises(UsageError, match="--no-mmproj"):
        LLM("embedded-vision", mmproj=False)
    LLM("default", mmproj=False).close()  # which has none
