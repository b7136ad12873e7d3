"""Pictures of any kind, as users have them, to pixels. Decoding is Pillow's."""

from __future__ import annotations

import io
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tramontane.errors import RequestError

from .bounds import MOST_BYTES, data_of
from .files import file_bytes
from .options import MediaOptions
from .processor import MediaProcessor, Pixels

MOST_PIXELS = 1 << 26
"""Width times height of a picture, 67 million; the largest cameras' have about as many."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
INSTALL = "images need Pillow, which is not installed: pip install pillow"


def decoded(image: Any, where: str, processor: MediaProcessor, options: MediaOptions) -> Pixels:
    """What a processor of images takes."""
    pixels = pixels_of(image, where)
    if options.max_edge is None:
        return pixels
    from .resize import reduced  # torch

    return reduced(pixels, options.max_edge)


def pixels_of(image: Any, where: str) -> Pixels:
    """A picture in RGB, upright, what is transparent laid over white; of several frames the first.

    image: bytes of a file, a path, a data: URL, an image of Pillow's, or an array (height, width),
    (height, width, 3) or (height, width, 4) of uint8. where: how errors call it.

    Raises RequestError for what is none, is damaged, or is too large.
    """
    if isinstance(image, np.ndarray):
        return _flat(_module("PIL.Image").fromarray(_checked(image, where)), where)
    if isinstance(image, str) and image.startswith("data:"):
        image = data_of(image, where)
    if isinstance(image, str | Path):
        image = file_bytes(Path(image), where)
    if isinstance(image, bytes | bytearray | memoryview):
        return _decoded(bytes(image), where)
    if hasattr(image, "convert") and hasattr(image, "size"):
        return _flat(image, where)
    raise RequestError(
        f"{where}: an image is a path, bytes, a data: URL, a PIL image or an array, not "
        f"{type(image).__name__}"
    )


def _checked(array: Any, where: str) -> Any:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.size == 0 or (
        array.ndim == 3 and array.shape[2] not in (3, 4)
    ):  # fmt: skip
        raise RequestError(
            f"{where}: an array should be uint8 (height, width, 3), not {array.dtype} {array.shape}"
        )
    return array


def _decoded(data: bytes, where: str) -> Pixels:
    module = _module("PIL.Image")
    if len(data) > MOST_BYTES:
        raise RequestError(f"{where}: the image has more than {MOST_BYTES >> 20} MiB; reduce it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, of sizes that are checked here
            opened = module.open(io.BytesIO(data), formats=FORMATS)
            return _flat(opened, where)
    except RequestError:
        raise
    except module.DecompressionBombError as error:
        raise RequestError(f"{where}: {_too_large()}") from error
    except Exception as error:  # decoders raise many kinds
        if isinstance(error, module.UnidentifiedImageError):
            known = ", ".join(FORMATS)
            raise RequestError(f"{where} is no image of a known format: {known}") from error
        raise RequestError(f"{where} is a damaged image: {error}") from error


def _flat(image: Any, where: str) -> Pixels:
    """In RGB, once its size is known to be bearable: decoding comes after."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise RequestError(f"{where} has {width} x {height} pixels: {_too_large()}")
    if width < 1 or height < 1:
        raise RequestError(f"{where} has {width} x {height} pixels: it is empty")
    image = _module("PIL.ImageOps").exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = _module("PIL.Image").new("RGBA", image.size, (255, 255, 255, 255))
        image = _module("PIL.Image").alpha_composite(white, image)
    return np.array(image.convert("RGB"), np.uint8)


def _eight_bits(image: Any) -> Any:
    """A grey picture of 16 bits or more: Pillow's own conversion would clip it at 255."""
    values = np.asarray(image, np.float64)
    top = 65535.0 if image.mode != "F" else max(float(values.max()), 1.0)
    scaled = np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)
    return _module("PIL.Image").fromarray(scaled)


def _too_large() -> str:
    return f"more than {MOST_PIXELS:,} pixels are not decoded; reduce the image"


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise RequestError(INSTALL) from error
