"""Draws pictures: one to three coloured shapes and digits on some ground; a seed is a picture.

Run it to have some as files: `pictures.py --out FOLDER -n 5 --seed 1000000000`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from digits import mask
from numpy.typing import NDArray
from PIL import Image, ImageDraw

UNSEEN = 1_000_000_000
"""Seeds from here on are never trained on."""
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 30, 35), "orange": (250, 140, 20), "yellow": (245, 225, 40),
    "green": (30, 150, 55), "blue": (35, 80, 215), "purple": (130, 45, 165),
    "black": (20, 20, 22), "white": (250, 250, 250),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "diamond")
DIGITS = tuple("0123456789")
NUMBERS = ("no", "one", "two", "three")


@dataclass(frozen=True)
class Thing:
    """shape: of SHAPES or DIGITS."""

    colour: str
    shape: str

    @property
    def noun(self) -> str:
        return f"digit {self.shape}" if self.shape in DIGITS else self.shape

    @property
    def name(self) -> str:
        """With its colour and article: `a red circle`."""
        return f"{'an' if self.colour[0] in 'aeiou' else 'a'} {self.colour} {self.noun}"


@dataclass(frozen=True)
class Scene:
    """things: from left to right."""

    things: tuple[Thing, ...]
    image: Image.Image


def outline(shape: str) -> list[tuple[float, float]]:
    """The corners of a shape around (0, 0), at most 1 from it in each direction."""
    if shape == "circle":
        turns = [math.tau * step / 48 for step in range(48)]
        return [(0.95 * math.cos(turn), 0.95 * math.sin(turn)) for turn in turns]
    if shape == "square":
        return [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
    if shape == "triangle":
        return [(0, -0.9), (0.95, 0.8), (-0.95, 0.8)]
    if shape == "star":
        turns = [math.pi * (step / 5 - 0.5) for step in range(10)]
        return [
            ((0.4 if step % 2 else 1) * math.cos(turn), (0.4 if step % 2 else 1) * math.sin(turn))
            for step, turn in enumerate(turns)
        ]
    if shape == "heart":
        turns = [math.tau * step / 40 for step in range(40)]
        return [
            (math.sin(turn) ** 3, -(13 * math.cos(turn) - 5 * math.cos(2 * turn)
             - 2 * math.cos(3 * turn) - math.cos(4 * turn)) / 15 - 0.1)
            for turn in turns
        ]  # fmt: skip
    if shape == "cross":
        a, b = 0.32, 0.95
        return [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a),
                (-b, a), (-b, -a), (-a, -a)]  # fmt: skip
    return [(0, -1), (0.72, 0), (0, 1), (-0.72, 0)]  # a diamond


def scene(seed: int) -> Scene:
    """The picture of a seed, always the same one: 96 to 224 pixels of a side."""
    rng = Random(seed)
    count = rng.choices((1, 2, 3), (5, 4, 2))[0]
    things = tuple(thing(rng) for _ in range(count))
    wide, high = rng.randint(96, 224), rng.randint(96, 224)
    if max(wide, high) > 1.5 * min(wide, high):
        wide = high = min(wide, high)
    image = ground(rng, [COLOURS[each.colour] for each in things], wide, high)
    for place, each in enumerate(things):
        most = min(wide / count, high) / 2
        size = most * (rng.uniform(0.45, 0.95) if count == 1 else rng.uniform(0.68, 0.97))
        left, right = (wide * side / count for side in (place, place + 1))
        x = rng.uniform(left + size, right - size)
        y = rng.uniform(size, high - size)
        put(image, each, x, y, size, rng)
    return Scene(things, noisy(image, rng))


def thing(rng: Random) -> Thing:
    """Every other thing is a digit."""
    shape = rng.choice(DIGITS if rng.random() < 0.5 else SHAPES)
    return Thing(rng.choice(tuple(COLOURS)), shape)


def put(image: Image.Image, what: Thing, x: float, y: float, size: float, rng: Random) -> None:
    """Draw a thing around (x, y), which reaches size in each direction, turned a little."""
    colour = shade(COLOURS[what.colour], rng)
    turn = rng.gauss(0, 6)
    if what.shape in DIGITS:
        whole = mask(what.shape, rng).rotate(turn, Image.Resampling.BILINEAR)
        side = max(8, round(2 * size))
        small = whole.resize((side, side), Image.Resampling.BILINEAR)
        image.paste(colour, (round(x - side / 2), round(y - side / 2)), small)
        return
    across = rng.uniform(0.88, 1)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    corners = [
        (x + size * (across * a * cos - b * sin), y + size * (across * a * sin + b * cos))
        for a, b in outline(what.shape)
    ]
    ImageDraw.Draw(image).polygon(corners, fill=colour)


def shade(colour: tuple[int, int, int], rng: Random) -> tuple[int, int, int]:
    """A colour that still has the same name."""
    red, green, blue = (max(0, min(255, part + rng.randint(-16, 16))) for part in colour)
    return red, green, blue


def ground(rng: Random, above: list[tuple[int, int, int]], wide: int, high: int) -> Image.Image:
    """Plain, or soft patches of a few colours, none near one of those that lie above it."""
    kind = rng.random()
    while True:
        if kind < 0.3:
            base = rng.choice(((255, 255, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)))
        else:
            middle, spread = rng.randint(20, 235), rng.choice((12, 40, 70))
            base = tuple(max(0, min(255, middle + rng.randint(-spread, spread))) for _ in range(3))  # type: ignore[assignment]
        if all(math.dist(base, colour) > 115 for colour in above):
            break
        kind = 0.3 + 0.7 * rng.random()
    if kind < 0.5:
        return Image.new("RGB", (wide, high), base)
    strong = rng.uniform(3, 22)
    cells = [
        tuple(max(0, min(255, round(part + rng.gauss(0, strong)))) for part in base)
        for _ in range(9)
    ]
    small = Image.new("RGB", (3, 3))
    small.putdata(cells)
    return small.resize((wide, high), Image.Resampling.BICUBIC)


def noisy(image: Image.Image, rng: Random) -> Image.Image:
    """With the noise of a camera, or none."""
    strength = rng.choice((0, 0, 4, 10, 18))
    if not strength:
        return image
    noise = np.random.default_rng(rng.getrandbits(32)).integers(
        -strength, strength + 1, (image.height, image.width, 3), np.int16
    )
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def squeezed(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """(side, side, 3): what the model sees of a picture."""
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def main() -> None:
    """Draw pictures into a folder, each named by what is in it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=5)
    parser.add_argument("--seed", type=int, default=UNSEEN, help="of the first")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seed, options.seed + options.n):
        drawn = scene(seed)
        name = " and ".join(each.name for each in drawn.things).replace(" ", "-")
        drawn.image.save(options.out / f"{name}.png")
        print(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
