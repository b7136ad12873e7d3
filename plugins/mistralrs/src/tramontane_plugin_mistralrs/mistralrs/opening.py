"""A `Which` and a `Runner`'s arguments as a loaded model, by the tables of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

from tramontane.errors import RequestError, UsageError

from tramontane_plugin_mistralrs.files import options_of
from tramontane_plugin_mistralrs.parse import SERVER, Given
from tramontane_plugin_mistralrs.plan import Plan
from tramontane_plugin_mistralrs.translate import translate

from .settings import Which

SELECTORS = {
    Which.Plain: "plain", Which.Embedding: "embedding", Which.XLora: "x-lora", Which.Lora: "run",
    Which.GGUF: "gguf", Which.XLoraGGUF: "x-lora-gguf", Which.LoraGGUF: "lora-gguf",
    Which.GGML: "ggml", Which.XLoraGGML: "x-lora-ggml", Which.LoraGGML: "lora-ggml",
    Which.MultimodalPlain: "vision-plain", Which.DiffusionPlain: "diffusion",
    Which.Speech: "speech",
}  # fmt: skip
TASKS = {"embedding": "embed", "diffusion": "image", "speech": "speech"}
RENAMED = {"hf_cache_path": "hf_cache", "in_situ_quant": "isq", "mmproj_filename": "mmproj"}
UNBOUNDED = {"max_adapters", "max_rank", "max_bytes"}
"""Limits that nothing here needs: adapters are named when a model is loaded."""
INTEGERS = (
    "num_ctx", "max_seqs", "kv_tokens", "max_edge", "max_num_images", "tgt_non_granular_index",
    "batch_size",
)  # fmt: skip
PATHS = ("topology", "imatrix", "calibration_file", "chat_template", "xlora_order")


def plan_of(which: Any, given: Mapping[str, Any]) -> Plan:
    """What a model and a runner's arguments are here. given: by the wheel's names; what is None or
    False is left out. Raises RequestError for what is refused."""
    selector_name = SELECTORS.get(type(which))
    if selector_name is None:
        raise RequestError(
            f"which should be one of Which, as Which.Plain(model_id=...), not {which!r:.60}"
        )
    selector = SERVER.selector(selector_name)
    told = {field.name: getattr(which, field.name) for field in fields(which)}
    own = {
        RENAMED.get(name, name): _plain(value)
        for name, value in told.items()
        if value is not None
        and name not in UNBOUNDED
        and name not in ("adapters", "mmproj_filename")
    }
    if own.get("gqa") == "1":
        own.pop("gqa")
    where = f"Which.{next(name for name, kind in vars(Which).items() if kind is type(which))}"
    beside = {
        RENAMED.get(k, k): _plain(v) for k, v in given.items() if v is not None and v is not False
    }
    try:
        pairs = [
            *options_of("Runner", beside, SERVER.options),
            *options_of(where, own, (*selector.options, *SERVER.selector("plain").options)),
        ]
        plan = translate(Given(SERVER, selector, pairs))
    except UsageError as error:
        raise RequestError(f"{where}: {error.message}") from error
    model = plan.models[0]
    for adapter in told.get("adapters") or ():
        if adapter.revision is not None:
            raise RequestError(f"{adapter.alias}: adapters are taken at the newest revision")
        model.setdefault("lora", []).append(f"{adapter.alias}={adapter.source}")
    if mmproj := told.get("mmproj_filename"):
        model["mmproj"] = mmproj if isinstance(mmproj, str) else mmproj[0]
    return plan


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return ";".join(str(each) for each in value)
    return value if value is True else str(value)


def task_of(which: Any) -> str:
    """text, embed, image or speech."""
    return TASKS.get(SELECTORS.get(type(which), ""), "text")


def keywords(plan: Plan) -> dict[str, Any]:
    """Keywords of `tramontane.LLM`, or of another task's class, without the model."""
    found = dict(plan.models[0])
    for name in ("model", "name", "alias"):
        found.pop(name, None)
    convert: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(INTEGERS, int), **dict.fromkeys(PATHS, Path)
    }  # fmt: skip
    found = {name: convert.get(name, lambda v: v)(value) for name, value in found.items()}
    if "hf_cache" in found:
        found["cache_dir"] = Path(found.pop("hf_cache"))
    if "lora" in found:
        named = (text.partition("=") for text in found.pop("lora"))
        found["adapters"] = {name: source for name, _, source in named}
    if found.pop("lora_merge", False):
        found["merge_adapters"] = True
    return found


def open_model(task: str, plan: Plan, more: Mapping[str, Any]) -> Any:
    """Load it. Raises TramontaneError."""
    import tramontane

    from tramontane_plugin_mistralrs.look import look
    from tramontane_plugin_mistralrs.template import fetch

    look(plan, debug=False)
    given = keywords(plan)
    source = plan.models[0]["model"]
    if plan.template_of is not None:
        path = fetch(plan.template_of, given.get("token_source", "cache"), given.get("cache_dir"))
        given |= {} if path is None else {"chat_template": Path(path)}
    if task == "text":
        return tramontane.LLM(source, **given, **more)
    for name in ("max_seqs", "prefix_cache"):  # of a chat
        given.pop(name, None)
    kinds = {
        "embed": tramontane.Embedder, "image": tramontane.ImageModel,
        "speech": tramontane.SpeechModel,
    }  # fmt: skip
    return kinds[task](source, **given)
