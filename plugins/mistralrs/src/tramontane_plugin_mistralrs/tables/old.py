"""`mistralrs-server`: options before the subcommand, and the subcommands."""

from __future__ import annotations

from tramontane_plugin_mistralrs import values
from tramontane_plugin_mistralrs.architectures import DIFFUSION, SPEECH, TEXT, VISION
from tramontane_plugin_mistralrs.option import Option, Own, Refused, Selector, To

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
    LISTENS_NOWHERE,
    LOG,
    MAX_SEQS,
    MCP_CONFIG,
    NO_KV_CACHE,
    ONE_PORT,
    PAGE_SIZE,
    PAGES,
    PREFIX_CACHE,
    SEARCH,
    SEARCH_MODEL,
    SEED,
    TOKEN_SOURCE,
)

GLOBAL = (
    Option(("--serve-ip",), {"serve": To("host"), "": LISTENS_NOWHERE}, "ADDRESS", "0.0.0.0"),
    Option(("-p", "--port"), {"serve": To("port"), "": LISTENS_NOWHERE}, "N", "1234"),
    SEED,
    LOG,
    Option(
        ("-t", "--truncate-sequence"),
        Refused("a prompt that is too long is an error that says its length: shorten it"),
    ),
    MAX_SEQS,
    NO_KV_CACHE,
    CHAT_TEMPLATE,
    JINJA_EXPLICIT,
    TOKEN_SOURCE,
    Option(
        ("-i", "--interactive-mode", "--vi", "--vision-interactive-mode"),
        Own("`tramontane run` instead of `tramontane serve`; images and speech: a prompt a line"),
    ),
    PREFIX_CACHE,
    Option(("-n", "--num-device-layers"), LAYERS, "LAYERS", "0:16;1:16"),
    Option(("--isq", "--in-situ-quant"), To("isq", values.isq_kind), "TYPE", "Q4K"),
    CPU,
    Option(("--paged-attn",), PAGES),
    Option(("--no-paged-attn",), Refused("keys and values are always kept in pages: leave it out")),
    Option(("--pa-gpu-mem",), CACHE_MEGABYTES, "MB", "4096"),
    Option(("--pa-gpu-mem-usage",), CACHE_SHARE, "SHARE", "0.5"),
    Option(("--pa-ctxt-len",), CACHE_TOKENS, "N", "4096"),
    Option(("--pa-blk-size",), PAGE_SIZE, "N", "16"),
    CACHE_TYPE,
    Option(("--prompt-chunksize", "--prompt-batchsize"), To("batch_size"), "N", "256"),
    Option(("--enable-search",), SEARCH),
    Option(("--search-bert-model", "--search-embedding-model"), SEARCH_MODEL, "MODEL", "org/name"),
    Option(
        ("--enable-thinking",),
        {
            "run": To("thinking"),
            "": Refused('requests say it themselves: "enable_thinking": true'),
        },
    ),
    MCP_CONFIG,
    Option(("--mcp-port",), {"serve": Own(ONE_PORT), "": LISTENS_NOWHERE}, "N", "4321"),
)  # fmt: skip
PLAIN = (
    m.MODEL_ID, m.TOKENIZER_JSON, m.DTYPE, m.TOPOLOGY, m.ORGANIZATION, m.WRITE_UQFF, m.FROM_UQFF,
    m.IMATRIX, m.CALIBRATION, m.MAX_SEQ_LEN, m.MAX_BATCH_SIZE, m.HF_CACHE, *m.MATFORMER,
)  # fmt: skip
IMAGES = (m.MAX_EDGE, m.MAX_NUM_IMAGES, m.MAX_IMAGE_LENGTH)
LONG_ARCH = Option(("--arch",), m.ARCH, "NAME", "llama")
SIZES = (m.DTYPE, m.TOPOLOGY, m.MAX_SEQ_LEN, m.MAX_BATCH_SIZE)
ORDER = Option(("--order",), m.XLORA_ORDER.ours, "FILE", "order.json")
X_LORA = (m.XLORA_MODEL_ID, m.XLORA_ORDER, m.TGT)
FILE = (m.TOK_MODEL_ID, m.QUANTIZED_MODEL_ID, m.QUANTIZED_FILENAME)
GGML = (
    *FILE,
    Option(("--tokenizer-json",), m.TOKENIZER_JSON.ours, "FILE", "tokenizer.json"),
    m.GQA,
)


def _arch(names: tuple[str, ...], example: str) -> Option:
    return Option(("-a", "--arch"), m.ARCH, f"{names[0]}|...", example)


SELECTORS = (
    Selector(("run",), "a text or vision model, found out by itself", "auto", (*PLAIN, *IMAGES)),
    Selector(("plain",), "a text model", "auto", (*PLAIN, _arch(tuple(TEXT), "phi3"))),
    Selector(
        ("x-lora", "x-lora-plain"), "a text model with X-LoRA", "auto",
        (*PLAIN, m.XLORA_MODEL_ID, ORDER, m.TGT, _arch(tuple(TEXT), "mistral")),
    ),
    Selector(
        ("lora", "lora-plain"), "a text model with LoRA", "auto",
        (*PLAIN, m.ADAPTERS, ORDER, LONG_ARCH),
    ),
    Selector(("gguf",), "a GGUF file", "auto", (*FILE, *SIZES, *IMAGES)),
    Selector(("x-lora-gguf",), "a GGUF file with X-LoRA", "auto", (*FILE, *SIZES, *X_LORA)),
    Selector(
        ("lora-gguf",), "a GGUF file with LoRA", "auto",
        (*FILE, *SIZES, m.ADAPTERS, m.XLORA_ORDER),
    ),
    Selector(("ggml",), "a file from before GGUF", "auto", (*GGML, *SIZES)),
    Selector(("x-lora-ggml",), "such a file with X-LoRA", "auto", (*GGML, *SIZES, *X_LORA)),
    Selector(
        ("lora-ggml",), "such a file with LoRA", "auto",
        (*GGML, *SIZES, m.ADAPTERS, m.XLORA_ORDER),
    ),
    Selector(
        ("vision-plain", "multimodal-plain"), "a model that sees", "auto",
        (*PLAIN, *IMAGES, _arch(tuple(VISION), "phi3v")),
    ),
    Selector(
        ("diffusion", "diffusion-plain"), "a model that makes images", "image",
        (m.MODEL_ID, _arch(DIFFUSION, "flux"), m.DTYPE),
    ),
    Selector(
        ("speech",), "a model that speaks", "speak",
        (
            m.MODEL_ID, _arch(SPEECH, "dia"), Option(("--dtype",), m.DTYPE.ours, "TYPE", "bf16"),
            Option(
                ("-d", "--dac-model-id"),
                Refused("the codec is part of the checkpoint: nari-labs/Dia-1.6B-0626 has it"),
                "MODEL", "org/dac",
            ),
        ),
    ),
    Selector(("embedding",), "a model of vectors", "auto", (*PLAIN,)),
    Selector(
        ("toml",), "what a TOML file selects", "toml",
        (Option(("-f", "--file"), Own("the keys of the file, which are these options"), "FILE",
                "gguf.toml"),),
    ),
    Selector(
        ("multi-model",), "the models of a JSON file", "multi-model",
        (
            Option(("-c", "--config"), Own("a `[[models]]` for each"), "FILE", "models.json"),
            Option(("-d", "--default-model-id"), Own("the first of them"), "NAME", "org/name"),
        ),
    ),
)  # fmt: skip
