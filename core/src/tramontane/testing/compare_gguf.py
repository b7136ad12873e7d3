"""A family's rules for GGUF files held against llama.cpp's names, the reference's numbers, and,
where llama-cpp-python is installed, llama.cpp's logits.

Writing a file by the family's own rules backwards proves nothing: rules that are wrong undo
themselves. The file here is made of the reference's tensors with llama.cpp's names.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from tramontane.checkpoint.fill import rules_of
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule, Skip, Stack
from tramontane.config import DecoderConfig, read_config
from tramontane.plugin import Architecture, load
from tramontane.verifying.llama_cpp import llama_cpp_logits

from .compare import (
    LIMIT,
    LogitsDiffer,
    NoReference,
    logits_apart,
    prompt_of,
    saved_reference,
    where_it_differs,
)
from .gguf_file import write_gguf
from .gguf_names import llama_cpp_name

AS_THEY_ARE, PERMUTED = "as in the checkpoint", "permuted as by llama.cpp's converter"
WAYS = {False: AS_THEY_ARE, True: PERMUTED}
NO_NUMBERS = (Rename, Skip, Stack, Deinterleave)
"""Rules for which the converter has nothing to change but the rows of q and k."""
THEIR_LIMIT = 1e-2
"""How far llama.cpp may be from the reference: its kernels round elsewhere."""


@dataclass(frozen=True)
class GgufComparison:
    """Which orders of the rows of q and k give the reference's logits. proven: whether llama.cpp
    reads that order too. str: what is left to find out, or was found."""

    architecture: str
    ways: tuple[str, ...]
    proven: bool
    theirs: str

    def __str__(self) -> str:
        return (
            f"{self.architecture} from gguf: equal to the reference with rows of q and k "
            f"{' or '.join(self.ways)}; {self.theirs}"
        )


def compare_gguf(
    offer: Architecture, reference: str = "transformers", device: str = "reference"
) -> GgufComparison:
    """Raises LogitsDiffer, and NoReference where nothing can be compared, which says why."""
    name = llama_cpp_name(offer)
    _refuse_other_numbers(offer)
    with TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(made)
        _, expected = saved_reference(offer, reference, {}, folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        files = {
            way: write_gguf(folder, folder / f"{way}.gguf", offer, permute=way) for way in WAYS
        }
        apart = {
            way: logits_apart(offer, file, device, expected, config) for way, file in files.items()
        }
        equal = [way for way in WAYS if apart[way].max() <= LIMIT]
        if not equal:
            nearest = min(apart.values(), key=lambda each: float(each.max()))
            raise LogitsDiffer(
                f"{offer.name} from gguf: the reference's tensors under the names of {name} give "
                "other logits, with rows of q and k as in the checkpoint and as the converter's "
                f"permute has them. {where_it_differs(nearest)}. Look at the rules under 'gguf' "
                "of weights="
            )
        proven, said = False, _why_not_run()
        if not said:
            proven, said = _as_llama_cpp(offer, device, files, expected, equal)
    return GgufComparison(offer.name, tuple(WAYS[way] for way in equal), proven, said)


def _refuse_other_numbers(offer: Architecture) -> None:
    config = read_config(load(offer.config), offer.example)
    assert isinstance(config, DecoderConfig)

    def changing(dialect: str) -> list[Rule]:
        return [r for r in rules_of(offer, config, dialect) if not isinstance(r, NO_NUMBERS)]

    if changing("hf") != changing("gguf"):
        raise NoReference(
            f"{offer.name} from gguf: rules under 'hf' and 'gguf' change numbers in different "
            "ways, so the converter must change some too; read a file of it"
        )


def _why_not_run() -> str:
    if find_spec("llama_cpp") is None:
        return (
            "whether llama.cpp's converter writes them so is not compared, since llama-cpp-python "
            "is not installed: look up llama_model_rope_type and permute, or read a file of the "
            "converter"
        )
    return ""


def _as_llama_cpp(
    offer: Architecture, device: str, files: dict[bool, Path], expected: Tensor, equal: list[bool]
) -> tuple[bool, str]:
    """Whether llama.cpp computes the reference's logits from a file that we read alike."""
    found: dict[bool, float] = {}
    for way, file in files.items():
        try:
            (theirs,), _ = llama_cpp_logits(file, [prompt_of(offer)], timeout=120)
        except NoReference as error:
            return False, f"not compared with llama.cpp: {error.message}"
        found[way] = float((theirs - expected).abs().max() / expected.abs().max())
    way = min(found, key=lambda each: found[each])
    if not found[way] <= THEIR_LIMIT:
        return False, (
            f"not compared with llama.cpp, whose logits of such a file differ by {found[way]:.2g}: "
            "the file lacks metadata of this family"
        )
    if way not in equal:
        raise LogitsDiffer(
            f"{offer.name} from gguf: llama.cpp has the reference's logits with rows of q and k "
            f"{WAYS[way]}, and the rules under 'gguf' read them {WAYS[equal[0]]}"
        )
    own = logits_apart(offer, files[way], device, expected)
    if not own.max() <= LIMIT:
        raise LogitsDiffer(
            f"{offer.name} from gguf: with the configuration that the file's metadata give, logits "
            f"differ from llama.cpp's: a key is read wrongly or not at all. {where_it_differs(own)}"
        )
    return True, f"llama.cpp's logits of the file differ by {found[way]:.1g}"
