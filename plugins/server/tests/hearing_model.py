"""A tiny random model that takes sounds, in a folder."""

from __future__ import annotations

from pathlib import Path

from .vision_model import write_media_model

NAME = "VoxtralForConditionalGeneration"
SPECIAL = ("<s>", "</s>", "[AUDIO]", "[BEGIN_AUDIO]")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.content is string %}"
    "{{ m.content }}{% else %}{% for p in m.content %}{% if p.type == 'audio' %}"
    "[BEGIN_AUDIO][AUDIO]{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "\n{% endfor %}[assistant]"
)


def write_hearing_model(folder: Path) -> None:
    """Voxtral in its tiny example, with bytes as a vocabulary."""
    write_media_model(folder, NAME, SPECIAL, TEMPLATE)
