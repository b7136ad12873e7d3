"""A checkpoint run by transformers, in float32 unless it is asked to save memory.

Code of the checkpoint's own is never run: `trust_remote_code` stays off.
"""

from __future__ import annotations

import contextlib
import gc
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tramontane import memory
from tramontane.errors import NoReference, NotEnoughMemory

from .ours import Rounding
from .reference import Subject, Theirs, Words
from .watch import Seen, layers_of, watched
from .weights import samples_of
from .words import CHAT

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
LISTED = 3


def model_class(name: str, option: str) -> tuple[Any, Any]:
    """The module transformers and its model class. option: what asks for it, for messages.

    Raises NoReference where there is no such class, or the package is missing.
    """
    try:
        import transformers
    except ImportError as error:
        raise NoReference(
            f"{option}: transformers cannot be imported here ({error}); pip install transformers"
        ) from error
    found = getattr(transformers, name, None)
    if getattr(found, "config_class", None) is None:
        flag = option.partition(" ")[0]
        raise NoReference(
            f"{option}: transformers {transformers.__version__} has no model class {name}; name "
            f"the one to compare with: {flag} transformers:CLASS"
        )
    return transformers, found


@contextlib.contextmanager
def quiet(module: Any) -> Iterator[None]:
    """Within, transformers draws no bars and says nothing but errors."""
    shown, level = module.utils.logging.is_progress_bar_enabled(), module.logging.get_verbosity()
    module.utils.logging.disable_progress_bar()
    module.logging.set_verbosity_error()
    try:
        # bars that its switch does not reach are drawn on stderr
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        module.logging.set_verbosity(level)
        if shown:
            module.utils.logging.enable_progress_bar()


class Transformers:
    """The class of a checkpoint, or one that is named; a GGUF file is decoded by transformers."""

    one_file = True

    def __init__(self, subject: Subject, named: str, dtype: str, *, force: bool) -> None:
        """Raises NoReference, NotEnoughMemory unless forced."""
        self._subject, self._dtype = subject, dtype
        self._packed = False
        self._gguf = subject.header.container == "gguf"
        option = f"--against transformers{named and ':'}{named}"
        if self._gguf and not named:
            self._module, self._class = model_class("GPT2LMHeadModel", option)
            self._class = self._module.AutoModelForCausalLM
        else:
            if subject.header.container not in ("safetensors", "pytorch", "gguf"):
                raise NoReference(
                    f"{option}: transformers does not read {subject.header.container} files"
                )
            wanted = named or subject.header.architecture
            self._module, self._class = model_class(wanted, option)
        if not force:
            self._fits()

    @property
    def name(self) -> str:
        called = "" if self._gguf else f" {self._class.__name__}"
        return f"transformers {self._module.__version__}{called} in {self._dtype}"

    def run(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[str], parts: int, *, force: bool
    ) -> Theirs:
        """Raises NoReference."""
        with quiet(self._module):
            model, notes = self._load()
            layers = layers_of(model, self._subject.config.num_hidden_layers)
            try:
                seen = [
                    _run(model, layers, prompt, parts=place == parts)
                    for place, prompt in enumerate(prompts)
                ]
                weights = samples_of(model)
            except Exception as error:
                raise NoReference(
                    f"{self.name} cannot run this model: {type(error).__name__}: {error}"
                ) from error
            del model, layers
            gc.collect()
            memory.give_back()
            words = self._words(texts)
        dtype, activations = DTYPES[self._dtype], "auto" if self._packed else "f32"
        return Theirs(seen, words, weights, notes, Rounding(activations, dtype, dtype))

    def _fits(self) -> None:
        need = self._subject.parameters * DTYPES[self._dtype].itemsize
        free = memory.free()
        if need > free:
            narrower = (
                " or compare with numbers of 16 bits (--reference-dtype bf16),"
                if self._dtype == "f32" else ""
            )  # fmt: skip
            raise NotEnoughMemory(
                f"transformers needs {memory.readable(need)} for this model's "
                f"{self._subject.parameters:,} numbers in {self._dtype}, and "
                f"{memory.readable(free)} are free: free some,{narrower} or try it with --force"
            )

    @property
    def _source(self) -> tuple[str, dict[str, Any]]:
        path = self._subject.header.path
        if self._gguf:
            return str(path.parent), {"gguf_file": path.name}
        return str(path if path.is_dir() else path.parent), {}

    def _load(self) -> tuple[Any, list[str]]:
        folder, more = self._source
        options = {"local_files_only": True, "trust_remote_code": False, **more}
        try:
            if (dense := self._dequantizing(folder, options)) is not None:
                more["quantization_config"] = dense
            model, told = self._class.from_pretrained(
                folder, dtype=DTYPES[self._dtype], attn_implementation="eager",
                output_loading_info=True, **{**options, **more},
            )  # fmt: skip
        except Exception as error:
            said = " ".join(str(error).split())
            raise NoReference(
                f"{self.name} cannot load {self._subject.path.name}: "
                f"{type(error).__name__}: {said[:400]}",
                hint="or compare with another file of the model: --against folder:PATH, gguf:FILE",
            ) from error
        return model.eval(), _made_up(told)

    def _dequantizing(self, folder: str, options: dict[str, Any]) -> Any:
        """Its settings of a quantized checkpoint, where it can decode the weights as it reads."""
        if "quantization_config" not in self._subject.header.config or self._gguf:
            return None
        config = self._module.AutoConfig.from_pretrained(folder, **options)
        from transformers.quantizers.auto import AutoQuantizationConfig

        found = AutoQuantizationConfig.from_dict(dict(config.quantization_config))
        if hasattr(found, "dequantize"):
            found.dequantize = True
            return found
        self._packed = True  # computed by kernels of the format's own library
        return None

    def _words(self, texts: Sequence[str]) -> Words:
        folder, more = self._source
        try:
            tokenizer = self._module.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **more
            )
        except Exception as error:  # noqa: BLE001 - as above
            said = " ".join(str(error).split())
            return Words(why=f"transformers cannot load the tokenizer: {said[:120]}")
        ids = [list(tokenizer(text)["input_ids"]) for text in texts]
        try:
            chat = tokenizer.apply_chat_template(
                [dict(message) for message in CHAT], tokenize=False, add_generation_prompt=True
            )
        except Exception:  # noqa: BLE001 - as above: without a template it raises ValueError
            chat = None
        return Words(ids, chat, filed=self._filed(folder, type(tokenizer), texts))

    def _filed(self, folder: str, used: Any, texts: Sequence[str]) -> list[list[int]] | None:
        """Its classes for single families may leave out parts of tokenizer.json."""
        plain = self._module.PreTrainedTokenizerFast
        if used is plain or not Path(folder, "tokenizer.json").exists():
            return None
        tokenizer = plain.from_pretrained(folder, local_files_only=True)
        return [list(tokenizer(text)["input_ids"]) for text in texts]


def _run(model: Any, layers: Any, prompt: Sequence[int], *, parts: bool) -> Seen:
    ids = torch.tensor([list(prompt)])
    with torch.inference_mode():
        if layers is None:
            return Seen(model(input_ids=ids, use_cache=False).logits[0].float().cpu())
        with watched(layers, len(prompt), parts=parts) as noted:
            logits = model(input_ids=ids, use_cache=False).logits[0]
    return noted.seen(logits)


def _made_up(told: Any) -> list[str]:
    """What it says of weights that it did not find: they are random."""
    missing = sorted(told.get("missing_keys") or ())
    misshapen = sorted(str(each[0]) for each in told.get("mismatched_keys") or ())
    found = [*missing, *misshapen]
    if not found:
        return []
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return [
        "transformers did not find all weights under its names, and made these up: "
        f"{', '.join(found[:LISTED])}{more}; it is not a reference then"
    ]
