"""Images as users have them: to pixels, upright, in RGB; and what is none."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tramontane.errors import RequestError
from tramontane.media import image as reading
from tramontane.media.image import decoded, pixels_of
from tramontane.media.options import MediaOptions
from tramontane.media.processor import MediaProcessor

RED, CLEAR = (255, 0, 0), (0, 0, 200, 0)


def stored(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_kinds_of_files(kind: str) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}
    pixels = pixels_of(stored(Image.new("RGB", (3, 2), RED), kind, **more), "it")
    assert pixels.shape == (2, 3, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == RED).all()


def test_every_way_to_name_one(tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2), RED)
    data = stored(image)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    for way in (image, data, bytearray(data), path, str(path), url, np.asarray(image)):
        assert (pixels_of(way, "it") == RED).all()


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [("L", 77, (77,) * 3), ("1", 1, (255,) * 3), ("I;16", 257 * 40, (40,) * 3),
     ("I", 65535, (255,) * 3), ("RGBA", CLEAR, (255,) * 3), ("LA", (0, 0), (255,) * 3),
     ("RGBA", (0, 0, 200, 51), (204, 204, 244)),
     ("P", 0, (0,) * 3), ("CMYK", (0, 255, 255, 0), RED)],
)  # fmt: skip
def test_modes(mode: str, color: Any, expected: tuple[int, ...]) -> None:
    assert pixels_of(Image.new(mode, (2, 2), color), "it")[0, 0].tolist() == list(expected)


def test_a_rotated_photograph_stands_upright() -> None:
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    pixels = pixels_of(stored(image, exif=exif), "it")
    assert pixels.shape == (4, 2, 3)
    assert pixels[0, 1].tolist() == list(RED)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "it is no image of a known format: PNG, JPEG"),
        (b"not an image", "no image of a known format"),
        (stored(Image.effect_noise((64, 64), 80))[:900], "it is a damaged image"),
        ("data:image/png,abc", "no data: URL in base64"),
        ("data:image/png;base64,@@@", "is not valid base64"),
        ("/nowhere/a.png", "cannot read /nowhere/a.png: No such file"),
        (np.zeros((2, 2, 3)), r"uint8 \(height, width, 3\), not float64"),
        (np.zeros((2, 2, 2), np.uint8), r"not uint8 \(2, 2, 2\)"),
        (np.zeros((0, 2, 3), np.uint8), "not uint8"),
        (7, "not int"),
    ],
)
def test_what_is_no_image(given: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        pixels_of(given, "it")


def test_large_ones_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored(Image.new("L", (40, 30)))
    monkeypatch.setattr(reading, "MOST_PIXELS", 1000)
    with pytest.raises(
        RequestError, match=r"40 x 30 pixels: more than 1,000 pixels are not decoded"
    ):
        pixels_of(data, "it")
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    with pytest.raises(RequestError, match="more than 0 MiB"):
        pixels_of(data, "it")


def test_without_pillow_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(
        RequestError, match="images need Pillow, which is not installed: pip install pillow"
    ):
        pixels_of(b"x", "it")


@pytest.mark.parametrize(
    ("size", "edge", "found"),
    [((40, 100), 50, (20, 50)), ((100, 40), 50, (50, 20)), ((40, 50), 50, (40, 50)),
     ((1, 1000), 10, (1, 10))],
)  # fmt: skip
def test_a_longest_side(size: tuple[int, int], edge: int, found: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    for most, expected in ((edge, found), (None, size)):
        options = MediaOptions(max_edge=most)
        assert decoded(pixels, "the image", MediaProcessor, options).shape[:2] == expected  # type: ignore[arg-type]
