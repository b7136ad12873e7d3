"""Images and sounds as the wheel's responses."""

from __future__ import annotations

import base64
import io
import tempfile
import time
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError

from .responses import ImageChoice, ImageGenerationResponse, SpeechGenerationResponse


def image_response(found: Any, form: Any, save_file: str | None) -> ImageGenerationResponse:
    """Each image as a file's path (Url), or in base64 (B64Json); save_file: where it is written."""
    try:
        from PIL import Image
    except ImportError as error:
        raise RequestError("images need Pillow: pip install pillow") from error
    choices = []
    for pixels in found.images:
        picture = Image.fromarray(pixels)
        if getattr(form, "value", form) == "B64Json":
            data = io.BytesIO()
            picture.save(data, "png")
            choices.append(ImageChoice(None, base64.b64encode(data.getvalue()).decode()))
            if save_file is not None:
                picture.save(save_file)
        else:
            path = Path(save_file or tempfile.mkstemp(prefix="image-", suffix=".png")[1])
            picture.save(path)
            choices.append(ImageChoice(str(path), None))
    return ImageGenerationResponse(choices, int(time.time()))


def sound_response(sound: Any) -> SpeechGenerationResponse:
    """One channel of samples."""
    return SpeechGenerationResponse([float(x) for x in sound.samples], sound.rate, 1)
