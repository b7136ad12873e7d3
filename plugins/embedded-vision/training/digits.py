"""Digits in three hands: a printed face, the seven strokes of a display, and lines by hand."""

from __future__ import annotations

from functools import cache
from random import Random

from PIL import Image, ImageDraw, ImageFont

SIDE = 96
"""Pixels of a mask's side."""

Point = tuple[float, float]

STROKES: dict[str, tuple[Point, Point]] = {
    "top": ((0.22, 0.08), (0.78, 0.08)), "middle": ((0.22, 0.5), (0.78, 0.5)),
    "bottom": ((0.22, 0.92), (0.78, 0.92)), "upper left": ((0.22, 0.08), (0.22, 0.5)),
    "upper right": ((0.78, 0.08), (0.78, 0.5)), "lower left": ((0.22, 0.5), (0.22, 0.92)),
    "lower right": ((0.78, 0.5), (0.78, 0.92)),
}  # fmt: skip
DARK: dict[str, tuple[str, ...]] = {
    "0": ("middle",),
    "1": ("top", "middle", "bottom", "upper left", "lower left"),
    "2": ("upper left", "lower right"),
    "3": ("upper left", "lower left"),
    "4": ("top", "bottom", "lower left"),
    "5": ("upper right", "lower left"),
    "6": ("upper right",),
    "7": ("middle", "bottom", "upper left", "lower left"),
    "8": (),
    "9": ("lower left",),
}
"""The strokes that a display leaves dark."""
LINES: dict[str, tuple[Point, ...]] = {
    "0": ((0.5, 0.05), (0.28, 0.18), (0.2, 0.5), (0.28, 0.82), (0.5, 0.95), (0.72, 0.82),
          (0.8, 0.5), (0.72, 0.18), (0.5, 0.05), (0.4, 0.1)),
    "1": ((0.3, 0.25), (0.55, 0.05), (0.55, 0.95)),
    "2": ((0.22, 0.28), (0.32, 0.1), (0.5, 0.05), (0.7, 0.12), (0.76, 0.3), (0.65, 0.5),
          (0.22, 0.95), (0.8, 0.95)),
    "3": ((0.22, 0.12), (0.5, 0.05), (0.72, 0.15), (0.74, 0.32), (0.62, 0.46), (0.42, 0.49),
          (0.64, 0.54), (0.78, 0.7), (0.7, 0.88), (0.48, 0.95), (0.2, 0.87)),
    "4": ((0.66, 0.95), (0.66, 0.05), (0.16, 0.68), (0.86, 0.68)),
    "5": ((0.75, 0.06), (0.3, 0.06), (0.25, 0.45), (0.5, 0.4), (0.72, 0.5), (0.78, 0.68),
          (0.68, 0.87), (0.46, 0.95), (0.2, 0.87)),
    "6": ((0.68, 0.06), (0.4, 0.22), (0.24, 0.5), (0.22, 0.72), (0.32, 0.9), (0.52, 0.95),
          (0.72, 0.87), (0.77, 0.7), (0.68, 0.54), (0.5, 0.48), (0.3, 0.56), (0.23, 0.7)),
    "7": ((0.2, 0.06), (0.8, 0.06), (0.42, 0.95)),
    "8": ((0.5, 0.48), (0.3, 0.36), (0.27, 0.18), (0.5, 0.05), (0.73, 0.18), (0.7, 0.36),
          (0.5, 0.48), (0.25, 0.62), (0.22, 0.82), (0.5, 0.95), (0.78, 0.82), (0.75, 0.62),
          (0.5, 0.48)),
    "9": ((0.75, 0.3), (0.66, 0.47), (0.48, 0.52), (0.3, 0.45), (0.24, 0.28), (0.32, 0.1),
          (0.52, 0.05), (0.7, 0.12), (0.76, 0.32), (0.72, 0.6), (0.5, 0.95)),
}  # fmt: skip


def mask(digit: str, rng: Random) -> Image.Image:
    """White on black, SIDE x SIDE, mode L, as high as the mask."""
    hand = rng.random()
    if hand < 0.5:
        return printed(digit, rng.choice((0, 0, 1, 2, 3, 4)))
    image = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(image)
    width = rng.randint(9, 17)
    if hand < 0.65:
        lit = [points for name, points in STROKES.items() if name not in DARK[digit]]
        for points in lit:
            stroke(draw, list(points), width)
    else:
        jitter = 0.035
        stroke(draw, [(x + rng.uniform(-jitter, jitter), y + rng.uniform(-jitter, jitter))
                      for x, y in LINES[digit]], width)  # fmt: skip
    return image


def stroke(draw: ImageDraw.ImageDraw, points: list[Point], width: int) -> None:
    """A line with round ends and corners."""
    inner = SIDE - width
    places = [(width / 2 + x * inner, width / 2 + y * inner) for x, y in points]
    draw.line(places, fill=255, width=width, joint="curve")
    half = width / 2
    for x, y in places:
        draw.ellipse((x - half, y - half, x + half, y + half), fill=255)


@cache
def printed(digit: str, bolder: int) -> Image.Image:
    """In the face that comes with Pillow."""
    font = ImageFont.load_default(SIDE)
    left, top, right, bottom = font.getbbox(digit, stroke_width=bolder)
    image = Image.new("L", (SIDE, SIDE))
    shape = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(shape).text((-left, -top), digit, fill=255, font=font, stroke_width=bolder)
    wide = min(SIDE, round(shape.width * SIDE / shape.height))
    image.paste(shape.resize((wide, SIDE), Image.Resampling.BILINEAR), ((SIDE - wide) // 2, 0))
    return image
