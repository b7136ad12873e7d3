"""Which implementation a model is compared with."""

from __future__ import annotations

from importlib.util import find_spec

from tramontane.errors import NoReference
from tramontane.hub.options import HubOptions
from tramontane.model.source import find_model

from .llama_cpp import LlamaCpp
from .our_other import OurOther
from .reference import Reference, Subject
from .transformers_model import Transformers

WAYS = "transformers, transformers:CLASS, llama.cpp, gguf:FILE or folder:PATH"


def choose_reference(
    against: str | None, subject: Subject, hub: HubOptions, dtype: str, *, force: bool
) -> Reference:
    """The one named, or the first that is installed and fits. Raises NoReference, and
    NotEnoughMemory unless forced."""
    gguf = subject.header.container == "gguf"
    if against is None:
        against = _fitting(gguf)
    kind, _, named = against.partition(":")
    if kind == "transformers":
        return Transformers(subject, named, dtype, force=force)
    if against in ("llama.cpp", "llama_cpp"):
        return LlamaCpp(subject)
    if kind in ("gguf", "folder") and named:
        return OurOther(find_model(named, subject.registry, hub), subject.registry)
    raise NoReference(f"--against {against}: what can be compared with is {WAYS}")


def _fitting(gguf: bool) -> str:
    has = {name: find_spec(name) is not None for name in ("llama_cpp", "transformers", "gguf")}
    if not gguf:
        if has["transformers"]:
            return "transformers"
        raise NoReference(
            "nothing to compare a folder with is installed: pip install transformers, or name a "
            "GGUF file of the same model: --against gguf:FILE"
        )
    if has["llama_cpp"]:
        return "llama.cpp"
    if has["transformers"] and has["gguf"]:
        return "transformers"
    raise NoReference(
        "nothing to compare a GGUF file with is installed: pip install llama-cpp-python, or "
        "pip install transformers gguf, or name the folder that the file was made of: "
        "--against folder:PATH"
    )
