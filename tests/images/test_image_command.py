"""`tramontane image` as a user meets it, and pictures in terminals."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tramontane.cli.image import Steps
from tramontane.cli.main import main
from tramontane.cli.terminal_picture import iterm, kitty, picture_writer, sixel
from tramontane.tasks.image import AsyncImageModel, ImageModel
from tramontane.tasks.queue import Progress

from tests.images.cases import picture
from tests.images.tiny_flux import write_folder

SMALL = ("--size", "64x32", "--steps", "2", "--max-sequence-length", "24", "-t", "1")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("flux") / "model", guided=False)


@pytest.fixture
def run(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["image", *arguments, "-m", str(model)])
        except SystemExit as end:
            code = int(str(end.code))
        return code, *capsys.readouterr()

    return run


def test_images_are_written_and_named(run: Run, tmp_path: Path, model: Path) -> None:
    code, out, err = run("a red fox", *SMALL, "--seed", "7", "-n", "2")
    assert (code, out.split()) == (0, ["image-1.png", "image-2.png"])
    assert "seed 8, width 64, height 32, steps 2, tokens 24" in err
    with ImageModel(model, threads=1) as here:
        asked = {"width": 64, "height": 32, "steps": 2, "max_sequence_length": 24, "seed": 8}
        wanted = here.images("a red fox", **asked).images[0]
    with Image.open(tmp_path / "image-2.png") as written:
        assert np.array_equal(np.array(written), wanted)
    (tmp_path / "image.png").touch()
    _, out, err = run("a red fox", *SMALL, "--quiet")  # the name is not free
    assert (out, err) == ("image2.png\n", "")


def test_from_an_image_to_another_format(run: Run, tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "given.png")
    more = ("--image", "given.png", "--strength", "0.5", "-o", "made.webp", "--json")
    _, out, _ = run("snow", "--steps", "2", "--max-sequence-length", "24", "-t", "1", *more)
    told = json.loads(out)
    assert (told["width"], told["height"], told["strength"]) == (80, 64, 0.5)
    with Image.open(told["images"][0]["file"]) as written:
        assert (written.format, written.size) == ("WEBP", (80, 64))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("x", "-o", "x.txt"), "the ending says the format, and '.txt'"),
        (("x", "-o", "no/x.png"), "there is no folder no"),
        (("x", "--size", "64"), "--size 64: width and height in pixels"),
        (("x", "--size", "100x64"), "width 100 is no multiple of 16: take 96 or 112"),
        (("x", "--size", "8x8"), "width should be a whole number from 16 to 4,096"),
        (("x", "--steps", "0"), "--steps 0: at least 1"),
        (("x", "-n", "17"), "n should be a whole number from 1 to 16"),
        (("x", "--guidance", "3"), "guidance: this model has none"),
        (("x", "--image", "none.png"), "none.png"),
        (("x", "--strength", "2"), "strength should be a number from 0 to 1"),
        (("  ",), "the prompt is empty"),
        ((), "describe an image"),
    ],
)
def test_what_cannot_be_is_said_with_the_way_out(
    run: Run, line: tuple[str, ...], said: str
) -> None:
    code, out, err = run(*line)
    assert code != 0
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_asyncio_progress_and_previews(model: Path) -> None:
    import asyncio

    told: list[Progress] = []

    async def make() -> Any:
        async with AsyncImageModel(model, threads=1) as found:
            return await found.images(
                "a fox", width=64, height=32, steps=4, max_sequence_length=16, preview=2,
                progress=told.append,
            )  # fmt: skip

    assert asyncio.run(make()).images[0].shape == (32, 64, 3)
    assert [(each.done, each.total) for each in told] == [(done, 4) for done in range(5)]
    assert [each.shown is not None for each in told] == [False, False, True, False, True]
    assert told[2].shown.shape == (32, 64, 3)


def test_the_bar_is_drawn_on_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Steps(quiet=False) as steps:
        steps(Progress(1, 4, "steps"))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Steps(quiet=False) as steps:
        steps(Progress(0, 4, "steps"))
        steps(Progress(2, 4, "steps"))
    assert re.search(r"\[#{12}\.{12}\] 2 of 4 steps, \d+ s left", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("environ", "writer"),
    [
        ({"TERM": "xterm-kitty"}, kitty),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, kitty),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, kitty),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, iterm),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, iterm),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, iterm),
        ({"TERM": "foot"}, sixel),
        ({"TERM": "mlterm"}, sixel),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "dumb"}, None),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({}, None),
    ],
)
def test_terminals_that_say_that_they_show_pictures(environ: dict[str, str], writer: Any) -> None:
    assert picture_writer(environ) is writer


def test_protocols_carry_the_picture() -> None:
    image = Image.fromarray(np.random.RandomState(0).randint(0, 256, (50, 90, 3), np.uint8))
    chunks = re.findall(r"\033_G([^;]*);([^\033]*)\033\\", kitty(image))
    assert [told.endswith("m=1") for told, _ in chunks] == [True] * (len(chunks) - 1) + [False]
    data = base64.standard_b64decode("".join(text for _, text in chunks))
    assert np.array_equal(np.array(Image.open(io.BytesIO(data))), np.array(image))
    told = re.fullmatch(r"\033\]1337;File=inline=1;size=(\d+);.*?:(.*)\a\n", iterm(image))
    assert told is not None
    assert len(base64.standard_b64decode(told[2])) == int(told[1])


def test_sixels_are_the_picture() -> None:
    """Drawn here as a terminal would: a colour at a time, six rows at a time."""
    colors = np.array([[255, 0, 0], [0, 255, 0], [51, 102, 204]], np.uint8)
    image = colors[np.random.RandomState(0).randint(0, 3, (13, 40))]
    text = sixel(Image.fromarray(image))
    body = re.fullmatch(r'\033Pq"1;1;40;13(.*)\033\\\n', text)
    assert body is not None
    palette: dict[str, list[int]] = {}
    drawn, row, column, color = np.zeros_like(image), 0, 0, "0"
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|(.)", body[1]):
        if token[1]:
            palette[token[1]] = [round(int(token[i]) * 255 / 100) for i in (2, 3, 4)]
        elif token[5]:
            color = token[5]
        elif token[8] == "$":
            column = 0
        elif token[8] == "-":
            row, column = row + 6, 0
        else:
            for _ in range(int(token[6] or 1)):
                for bit in range(6):
                    if ord(token[7] or token[8]) - 63 >> bit & 1:
                        drawn[row + bit, column] = palette[color]
                column = column + 1
    assert np.array_equal(drawn, image)
