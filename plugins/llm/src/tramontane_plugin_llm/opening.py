"""From llm's options to a loaded model."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import CheckpointError, ModelNotFound, NoTokenizer, UsageError
from tramontane.registry import Registry
from tramontane_quant_ggml.plugin import MAGIC

from .cli.logs import LOG

if TYPE_CHECKING:
    from tramontane import LLM
    from tramontane.checkpoint.checkpoint import Checkpoint
    from tramontane.tokenizer.tokenizer import Tokenizer

CONTEXT = 2048
"""Tokens, unless --num-ctx-tokens says otherwise."""
CLASSES = {
    "bloom": "BloomForCausalLM", "falcon": "FalconForCausalLM", "gpt2": "GPT2LMHeadModel",
    "gptj": "GPTJForCausalLM", "gptneox": "GPTNeoXForCausalLM", "llama": "LlamaForCausalLM",
    "mpt": "MptForCausalLM",
}  # fmt: skip
"""What config.json calls the families of -a."""
LARGEST = 64 << 20
"""Bytes of a tokenizer.json."""


@contextmanager
def located(options: argparse.Namespace, registry: Registry) -> Iterator[Path]:
    """The model's path; with a tokenizer of its own, a folder's in which both are.

    Raises UsageError for two tokenizers, ModelNotFound, DownloadError.
    """
    from tramontane.hub.options import HubOptions
    from tramontane.model.source import find_model

    if options.tokenizer_path is not None and options.tokenizer_repository is not None:
        raise UsageError("--tokenizer-path and --tokenizer-repository exclude each other; give one")
    path = find_model(options.model_path, registry, HubOptions())
    tokenizer = options.tokenizer_path
    if options.tokenizer_repository is not None:
        tokenizer = _fetched(options.tokenizer_repository)
    if tokenizer is None:
        yield path
        return
    if not tokenizer.is_file():
        raise ModelNotFound(f"no tokenizer {tokenizer}: there is no such file")
    if tokenizer.stat().st_size > LARGEST:
        raise CheckpointError(f"{tokenizer} is larger than any tokenizer: {LARGEST} bytes")
    with tempfile.TemporaryDirectory(prefix="llm-rs-") as folder:
        together = Path(folder, path.name)
        together.symlink_to(path.resolve())
        shutil.copyfile(tokenizer, Path(folder, "tokenizer.json"))
        yield together


def _fetched(repository: str) -> Path:
    """tokenizer.json of a repository on the hub, or of its copy in the cache."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, "tokenizer.json"))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelNotFound(f"{repository}: its tokenizer.json cannot be had: {said}") from error


def opened(path: Path, options: argparse.Namespace, registry: Registry) -> Checkpoint:
    """The checkpoint, if it is of the family that -a names and has the heads that --gqa does.

    Raises UsageError, CheckpointError.
    """
    from tramontane.checkpoint.open import open_checkpoint

    checkpoint = open_checkpoint(path, registry)
    try:
        _check_family(checkpoint, options)
        with_tokenizer = options.tokenizer_path or options.tokenizer_repository
        if with_tokenizer and checkpoint.header.container not in MAGIC:
            raise UsageError(
                f"{options.model_path} has a tokenizer of its own: -v and -r are for files from "
                "before GGUF; leave them out"
            )
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def texts_of(tokenizer: Tokenizer, count: int) -> list[bytes]:
    """The bytes of the first tokens; of numbers that are no token, none."""
    return [tokenizer.token_bytes(i) if tokenizer.has(i) else b"" for i in range(count)]


def _check_family(checkpoint: Checkpoint, options: argparse.Namespace) -> None:
    header, asked = checkpoint.header, options.model_architecture
    found = header.metadata.get("family", header.architecture)
    if asked is not None and found not in (asked, CLASSES[asked]):
        raise UsageError(
            f"--model-architecture {asked}: {options.model_path} is of {found}, as its tensors "
            "show; leave -a out, or name that"
        )
    if (gqa := getattr(options, "gqa", None)) is None:
        return
    heads = header.config.get("num_attention_heads")
    kept = header.config.get("num_key_value_heads") or heads
    if not isinstance(heads, int) or not isinstance(kept, int) or heads != gqa * kept:
        raise UsageError(f"--gqa {gqa}: {options.model_path} has {heads} heads for {kept}")


@contextmanager
def loaded(options: argparse.Namespace) -> Iterator[LLM]:
    """A model, ready to run."""
    from tramontane import LLM
    from tramontane.checkpoint.load_options import rope_overrides
    from tramontane.cli.progress import Loading

    registry = Registry.from_environment()
    with (
        located(options, registry) as path,
        tempfile.TemporaryDirectory(prefix="llm-rs-lora-") as folder,
    ):
        checkpoint = opened(path, options, registry)
        config = checkpoint.header.config
        checkpoint.close()
        own = next((config[key] for key in ("max_position_embeddings", "max_seq_len") if
                    isinstance(config.get(key), int)), CONTEXT)  # fmt: skip
        with Loading() as progress:
            llm = LLM(
                path,
                num_ctx=options.num_ctx_tokens or min(CONTEXT, own),
                mmap=not options.no_mmap,
                overrides=rope_overrides(options.rope_freq_base, options.rope_freq_scale),
                adapters=adapters_of(options, Path(folder)),
                progress=progress,
                registry=registry,
                **_placed(options, registry),
                **_generation(options),
            )
    with llm:
        if missing := llm.inner.tokenizer.missing:
            raise NoTokenizer(missing.partition("; without one")[0])
        report = llm.report
        LOG.info("loaded %s on %s in %.1f s", report.architecture, report.device, report.seconds)
        yield llm


def adapters_of(options: argparse.Namespace, folder: Path | None = None) -> dict[str, Path]:
    """--lora-paths, each by a name of its own. folder: for links to GGLA files, by the name that
    tells what they are; here they may have any."""
    from tramontane_quant_ggml.header import LORA

    found = {}
    for number, given in enumerate(options.lora_paths, 1):
        path = Path(given)
        if not path.exists():
            raise ModelNotFound(f"no adapter {path}: there is no such file or folder")
        if folder is not None and path.is_file() and _begins(path) == LORA:
            link = folder / f"lora{number}.ggla"
            link.symlink_to(path.resolve())
            path = link
        found[f"lora{number}"] = path
    return found


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _placed(options: argparse.Namespace, registry: Registry) -> dict[str, Any]:
    """Where it runs: on the processor, unless --use-gpu finds something else."""
    from tramontane.system.devices import accelerators, host_device

    layers = options.gpu_layers
    if not options.use_gpu:
        if layers is not None:
            LOG.warning("--gpu-layers %d has no effect without --use-gpu", layers)
        return {"device": host_device(registry)[0].name}
    found = accelerators(registry)
    if not found:
        LOG.warning("--use-gpu: there is no accelerator, so the processor is used; "
                    "tramontane doctor says what is missing")  # fmt: skip
        return {"device": host_device(registry)[0].name}
    return {"device": found[0][0].name, "gpu_layers": "all" if layers is None else layers}


def _generation(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `LLM` that are options of `add_generation`."""
    kept = "f32" if options.no_float16 else "f16" if options.float16 else "auto"
    return {"threads": options.num_threads, "batch_size": options.batch_size, "kv_type": kept}
