"""What a request for images may say, by OpenAI's names and those of diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator

from .fields import NO_EFFECT, RequestBody, refuse

Format = Literal["png", "jpeg", "webp"]
AUTO = "auto"


class ImageRequest(RequestBody):
    """A description, and how to make images of it."""

    refused: ClassVar[Mapping[str, str]] = {
        "stream": "an image is sent whole; its progress is not",
        "partial_images": "an image is sent whole; its progress is not",
        "negative_prompt": "a model with distilled guidance takes none",
    }
    neutral: ClassVar[Mapping[str, Sequence[Any]]] = {
        "stream": (False, "false"), "partial_images": (0, "0"), "negative_prompt": ("",),
    }  # fmt: skip

    prompt: str = Field(min_length=1, max_length=32_768)
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    n: int | None = Field(None, ge=1, le=16)
    size: str | None = Field(
        None, pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$",
        description="width and height, multiples of 16 for FLUX.1; `auto`: the model's own",
    )  # fmt: skip
    response_format: Literal["url", "b64_json"] | None = Field(
        None, description="`url`, the default: an address that holds for an hour"
    )
    output_format: Format | None = Field(None, description="`png` without it")
    output_compression: int | None = Field(None, ge=0, le=100, description="of jpeg and webp")
    background: Literal["auto", "opaque"] | None = Field(
        None, description="images are opaque: `transparent` is refused"
    )
    quality: str | None = Field(None, max_length=64, description=NO_EFFECT)
    style: str | None = Field(None, max_length=64, description=NO_EFFECT)
    moderation: str | None = Field(None, max_length=64, description=NO_EFFECT)
    user: str | None = Field(None, max_length=2048, description=NO_EFFECT)
    seed: int | None = Field(None, description="image i has seed + i, modulo 2**63")
    steps: int | None = Field(None, ge=1, le=1000)
    guidance: float | None = Field(None, ge=0, le=100)
    shift: float | None = Field(None, ge=0.01, le=100)
    max_sequence_length: int | None = Field(None, ge=1, le=4096)

    @field_validator("background", mode="before")
    @classmethod
    def _opaque(cls, value: Any) -> Any:
        if value == "transparent":
            refuse("", "background: images have no transparency here", "unsupported_value")
        return value

    def asked(self) -> dict[str, Any]:
        """Fields of `ImageOptions`."""
        names = ("seed", "steps", "guidance", "shift", "max_sequence_length")
        found: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.seed is not None:
            found["seed"] = self.seed % 2**63
        found["n"] = self.n or 1
        if self.size not in (None, AUTO):
            width, _, height = str(self.size).partition("x")
            found |= {"width": int(width), "height": int(height)}
        return found


class EditRequest(ImageRequest):
    """The same of an image that it begins with; in a form, of which all fields are texts."""

    model_config = ConfigDict(strict=False)
    refused: ClassVar[Mapping[str, str]] = {
        **ImageRequest.refused,
        "mask": "the whole image is made; strength says how much of it changes",
    }

    input_fidelity: str | None = Field(None, max_length=64, description=NO_EFFECT)
    strength: float | None = Field(
        None, ge=0, le=1, description="how much of the image becomes noise; 0.8 without it"
    )

    def asked(self) -> dict[str, Any]:
        more = {} if self.strength is None else {"strength": self.strength}
        return {**super().asked(), **more}
