"""For what the installed torch was built, read from its version file: importing it takes a
second."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

LINE = re.compile(r"^(__version__|cuda|hip|xpu)\b[^=]*= *(?:'([^']*)'|None)", re.MULTILINE)


@dataclass(frozen=True)
class TorchBuild:
    """version: "2.13.0+cpu". cuda, hip, xpu: versions of what it was built for; empty: not."""

    version: str
    cuda: str = ""
    hip: str = ""
    xpu: str = ""


def torch_build() -> TorchBuild | None:
    """None where torch is not installed, or its version file is not as known."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    return read_build(text)


def read_build(text: str) -> TorchBuild | None:
    """From the text of torch/version.py."""
    found = dict(LINE.findall(text))
    if "__version__" not in found:
        return None
    return TorchBuild(found["__version__"], *(found.get(k, "") for k in ("cuda", "hip", "xpu")))
