"""A GGUF file run by llama.cpp (llama-cpp-python), in a process of its own: it ends the process
when it meets what it does not expect. It shows logits and token ids; no hidden states, no weights.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tramontane.errors import NoReference

from .ours import Rounding
from .reference import Subject, Theirs, Words
from .watch import Seen

SCRIPT = """
import json, sys
import numpy as np
from llama_cpp import Llama
asked = json.load(sys.stdin)
longest = max(map(len, asked["prompts"]))
llm = Llama(asked["model"], n_ctx=longest, n_batch=longest, n_ubatch=longest, logits_all=True,
            verbose=True, type_k=0, type_v=0, flash_attn=False, n_gpu_layers=0,
            n_threads=asked["threads"])
for place, prompt in enumerate(asked["prompts"]):
    llm.reset()
    llm.eval(prompt)
    np.save(f"{asked['out']}/{place}.npy", np.array(llm.scores[: len(prompt)]))
try:
    ids = [llm.tokenize(text.encode(), add_bos=True, special=True) for text in asked["texts"]]
except Exception as error:
    ids = str(error)
with open(f"{asked['out']}/ids.json", "w") as file:
    json.dump(ids, file)
"""
PLAIN = {"f32", "f64"}
"""Types of tensors, as headers have them, for which llama.cpp rounds nothing."""


def llama_cpp_logits(
    file: Path,
    prompts: Sequence[Sequence[int]],
    texts: Sequence[str] = (),
    *,
    python: str = sys.executable,
    timeout: float | None = None,
) -> tuple[list[torch.Tensor], list[list[int]] | str]:
    """Logits of each prompt, (tokens, vocabulary), and token ids of texts or why there are none.

    Raises NoReference with llama.cpp's last words.
    """
    with TemporaryDirectory() as out:
        asked = {
            "model": str(file), "prompts": [list(p) for p in prompts], "texts": list(texts),
            "out": out, "threads": torch.get_num_threads(),
        }  # fmt: skip
        done = subprocess.run(
            [python, "-c", SCRIPT], input=json.dumps(asked), capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            why = next((line for line in lines if "error loading" in line), lines[-1])
            raise NoReference(
                f"llama.cpp does not run {file.name}: {why.strip()[:200]}",
                hint="compare with --against transformers or folder:PATH",
            )
        found = [torch.from_numpy(np.load(f"{out}/{i}.npy")) for i in range(len(prompts))]
        return found, json.loads(Path(out, "ids.json").read_text())


class LlamaCpp:
    """llama.cpp on the subject's own file."""

    one_file = True

    def __init__(self, subject: Subject) -> None:
        if subject.header.container != "gguf":
            raise NoReference(
                f"--against llama.cpp: it reads GGUF files, and {subject.path.name} is none; name "
                "one of the same model: --against gguf:FILE compares it with this folder"
            )
        if find_spec("llama_cpp") is None:
            raise NoReference(
                "--against llama.cpp: it is not installed: pip install llama-cpp-python"
            )
        self._subject = subject

    @property
    def name(self) -> str:
        try:
            return f"llama.cpp (llama-cpp-python {version('llama-cpp-python')})"
        except PackageNotFoundError:
            return "llama.cpp"

    def run(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[str], parts: int, *, force: bool
    ) -> Theirs:
        """Raises NoReference."""
        logits, ids = llama_cpp_logits(self._subject.header.path, prompts, texts)
        words = Words(why=ids) if isinstance(ids, str) else Words(ids)
        stored = {info.stored.lower() for info in self._subject.header.tensors.values()}
        activations = "f32" if stored <= PLAIN else "auto"
        return Theirs(
            [Seen(each) for each in logits], words, rounding=Rounding(activations=activations)
        )
