"""`mistralrs serve`, `run`, `bench` and others: the options that say how a model is loaded."""

from __future__ import annotations

from tramontane_plugin_mistralrs import values
from tramontane_plugin_mistralrs.option import Meant, Option, Own, To

from . import model as m
from .shared import (
    CACHE_MEGABYTES,
    CACHE_SHARE,
    CACHE_TOKENS,
    CACHE_TYPE,
    CHAT_TEMPLATE,
    CPU,
    JINJA_EXPLICIT,
    LAYERS,
    NO_KV_CACHE,
    PAGE_SIZE,
    PAGES,
    PREFIX_CACHE,
)

BUILT_IN_DRAFTS = Own("`--draft mtp`, with `:max=N` of `--mtp-n-predict`")
UNBOUNDED = "memory alone bounds adapters"

MODEL = (
    m.MODEL_ID,
    m.TOKENIZER_JSON,
    Option(("-a", "--arch"), m.ARCH, "NAME", "qwen3"),
    Option(("--dtype",), To("dtype", values.dtype), "TYPE", "bf16"),
    Option(("--format",), Own("found out by the files; another than this is refused"), "FORMAT",
           "gguf"),
    Option(("-f", "--quantized-file"), m.SOURCE, "FILE;...", "model.gguf"),
    Option(("--mmproj",), To("mmproj"), "FILE", "mmproj.gguf"),
    Option(("--tok-model-id",), m.TEMPLATE_OF, "MODEL", "org/tokenizer"),
    Option(("--gqa",), m.GGQ, "N", "1"),
)  # fmt: skip
ADAPTER = (
    Option(
        ("--enable-lora",),
        {
            "serve": To("adapter_downloads", said="`--adapter-downloads`: requests load adapters"),
            "": Meant("adapters are named with --lora"),
        },
    ),
    Option(
        ("--lora", "--lora-modules"), Own("`--lora NAME=SOURCE`"), "ALIAS=SOURCE|JSON",
        "tales=org/tales", many=True,
    ),
    Option(("--lora-max-adapters",), Meant(UNBOUNDED, ("16",)), "N", "16"),
    Option(("--lora-max-rank",), Meant(UNBOUNDED, ("256",)), "N", "256"),
    Option(("--lora-max-bytes",), Meant(UNBOUNDED, ("8589934592",)), "N", "8589934592"),
    Option(("--legacy-lora",), m.ADAPTERS.ours, "MODEL", "org/adapter"),
    Option(("--legacy-lora-order",), m.XLORA_ORDER.ours, "FILE", "order.json"),
    Option(("--xlora",), m.XLORA_MODEL_ID.ours, "MODEL", "org/xlora"),
    Option(("--xlora-order",), m.XLORA_ORDER.ours, "FILE", "order.json"),
    m.TGT,
)  # fmt: skip
QUANTIZATION = (
    Option(("--quant",), To("quant", values.level), "LEVEL", "4"),
    Option(("--isq",), To("isq", values.isq_kind), "TYPE", "q4k"),
    Option(("--from-uqff",), m.SOURCE, "FILE", "q4k-0.uqff"),
    m.ISQ_ORGANIZATION,
    Option(("--imatrix",), To("imatrix"), "FILE", "model.imatrix"),
    m.CALIBRATION,
)
DEVICE = (
    CPU,
    Option(("-n", "--device-layers"), LAYERS, "LAYERS", "0:10;1:20"),
    m.TOPOLOGY,
    m.HF_CACHE,
    m.MAX_SEQ_LEN,
    m.MAX_BATCH_SIZE,
)  # fmt: skip
PAGED = (
    Option(
        ("--paged-attn",), Meant(PAGES.said, ("auto", "on")), "MODE", "auto"
    ),
    Option(("--pa-context-len",), CACHE_TOKENS, "N", "4096"),
    Option(("--pa-memory-mb",), CACHE_MEGABYTES, "MB", "4096"),
    Option(("--pa-memory-fraction",), CACHE_SHARE, "SHARE", "0.5"),
    Option(("--pa-block-size",), PAGE_SIZE, "N", "16"),
    CACHE_TYPE,
)  # fmt: skip
VISION = (
    Option(("--max-edge",), To("max_edge"), "N", "512"), m.MAX_NUM_IMAGES, m.MAX_IMAGE_LENGTH
)  # fmt: skip
LOADING = (*MODEL, *ADAPTER, *QUANTIZATION, *DEVICE, *PAGED, *VISION)
BARE = (
    MODEL[0], MODEL[2], MODEL[3], MODEL[4], MODEL[5], *QUANTIZATION[:4], *DEVICE[:4],
)  # fmt: skip
RUNTIME_MODEL = (
    NO_KV_CACHE,
    PREFIX_CACHE,
    CHAT_TEMPLATE,
    JINJA_EXPLICIT,
    *m.MATFORMER,
    Option(("--mtp",), BUILT_IN_DRAFTS),
    Option(("--mtp-model",), Own("`--draft MODEL`"), "MODEL", "org/assistant"),
    Option(("--mtp-n-predict",), Own("`:max=N` of `--draft`"), "N", "2"),
)
