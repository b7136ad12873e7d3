"""`mistralrs`: its subcommands."""

from __future__ import annotations

from tramontane_plugin_mistralrs import values
from tramontane_plugin_mistralrs.option import Meant, Option, Own, Refused, Selector, To

from .agent import AGENT, SANDBOX
from .new_model import (
    BARE,
    DEVICE,
    LOADING,
    MODEL,
    PAGED,
    QUANTIZATION,
    RUNTIME_MODEL,
)
from .shared import LOG, MAX_SEQS, MCP_CONFIG, SEED, TOKEN_SOURCE

KINDS = ("auto", "text", "multimodal", "vision", "diffusion", "speech", "embedding")
ROUNDS = Meant("as many rounds of calls as an answer in the terminal may have", ("8",))
STEPS = Meant("prompts and answers are mixed in each step, so neither waits")

GLOBAL = (
    Option(("--seed",), SEED.ours, "N", "42"),
    LOG,
    TOKEN_SOURCE,
    Option(("-v", "--verbose"), To("verbose"), many=False),
)
RUNTIME = (
    MAX_SEQS,
    Option(
        ("--max-num-batched-tokens",), {"serve": To("max_batched_tokens"), "": To("batch_size")},
        "N", "4096",
    ),
    Option(("--max-decode-steps-before-prefill",), STEPS, "N", "8"),
    *RUNTIME_MODEL,
    MCP_CONFIG,
)  # fmt: skip
SERVER = (
    Option(("-p", "--port"), To("port"), "N", "1234"),
    Option(("--host", "--serve-ip"), To("host"), "ADDRESS", "0.0.0.0"),
    Option(("--no-ui",), To("pages", lambda _: False, "`--no-pages`")),
    Option(
        ("--mcp-port",), Own("`--mcp`, MCP at /mcp, and `--port` where no port is given"), "N",
        "4321",
    ),
    Option(("--max-tool-rounds",), To("max_tool_rounds"), "N", "8"),
    Option(
        ("--tool-dispatch-url",),
        To("tool_dispatch_url", values.dispatched,
           "`--tool-dispatch-url`, and `--tool-dispatch-names '*'`"),
        "URL", "http://localhost:9/call",
    ),
    Option(("--disable-access-log",), To("access_log", lambda _: "off", "`--access-log off`")),
    Option(("--access-log-format",), To("access_log", values.access_log), "FORMAT", "json"),
    Option(
        ("--access-log-health",),
        Refused("requests for /health are in the log as all others are: leave it out"),
    ),
    Option(
        ("--disable-request-id-header",),
        Refused("answers always have an x-request-id, by which the log finds them"),
    ),
    Option(
        ("--disable-metrics",),
        Refused("/metrics needs a key as every route does; without keys: 127.0.0.1 only"),
    ),
)  # fmt: skip
ONCE = (
    Option(("-i", "--input"), To("input"), "TEXT", "Hello"),
    Option(("--image",), To("image"), "FILE", "a.png", many=True),
    Option(("--video",), To("video"), "FILE", "a.gif", many=True),
    Option(("--audio",), To("audio"), "FILE", "a.wav", many=True),
    Option(("--thinking", "--enable-thinking"), To("thinking")),
    Option(("--reasoning-effort",), To("reasoning_effort"), "EFFORT", "low"),
    Option(("--adapter",), To("adapter"), "NAME", "tales"),
    Option(("--max-tool-rounds",), ROUNDS, "N", "8"),
)
BENCH = (
    Option(("--prompt-len",), To("prompt"), "N,...", "512"),
    Option(("--gen-len",), To("gen"), "N,...", "128"),
    Option(("--depth",), To("depth"), "N,...", "4"),
    Option(("--iterations",), To("reps"), "N", "3"),
    Option(("--warmup",), Meant("each test runs once before it is measured", ("1",)), "N", "1"),
    Option(("--adapter",), Refused("adapters are not measured: leave it out"), "NAME", "tales"),
)
SAME = Option(("--json",), To("json"))
QUANTIZE = (
    Option(("-o", "--output"), Own("`OUT`: a folder, or a .gguf file"), "OUT", "out.gguf"),
    Option(("--isq", "--quant"), Own("`--to`"), "TYPE", "4", many=True),
    Option(("--no-readme",), Meant("no page about the model is written")),
    Option(
        ("--uqff-base-model",), Refused("it is written into a page of UQFF, which is not made"),
        "MODEL", "org/name",
    ),
    Option(
        ("--uqff-repo-id",), Refused("it is written into a page of UQFF, which is not made"),
        "MODEL", "org/name",
    ),
)  # fmt: skip
TUNE = (
    Option(("--profile",), To("profile"), "PROFILE", "balanced"),
    SAME,
    Option(("--emit-config",), To("emit_config"), "FILE", "tuned.toml"),
)
UQFF = Option(("-m", "--model-id", "--model"), Own("`MODEL`"), "MODEL", "org/name")
NO_UQFF = "no reports of UQFF files are made; what is in one: mistralrs uqff inspect MODEL"
FILE = Option(("-f", "--file"), Own("its keys, which are these options"), "FILE", "serve.toml")

SELECTORS = (
    Selector(
        ("serve",), "serve a model over HTTP", "serve",
        (*LOADING, *RUNTIME, *AGENT, *SANDBOX, *SERVER), KINDS,
    ),
    Selector(
        ("run",), "chat with a model, or answer once", "run",
        (*LOADING, *RUNTIME, *AGENT, *SANDBOX, *ONCE), KINDS,
    ),
    Selector(
        ("bench",), "measure how fast a model runs", "bench",
        (*MODEL, *QUANTIZATION, *DEVICE, *PAGED, *BENCH), KINDS[:3],
    ),
    Selector(
        ("quantize",), "write a model in fewer bits", "quantize",
        (MODEL[0], *QUANTIZATION[3:], *QUANTIZE, DEVICE[2], DEVICE[3]), KINDS[:3],
    ),
    Selector(("tune",), "show in how many bits it fits", "tune", (*BARE[:1], BARE[-1], *TUNE),
             KINDS[:3]),
    Selector(
        ("uqff",), "look at UQFF files", "uqff", (UQFF, SAME), words=("report|verify|inspect",)
    ),
    Selector(("doctor",), "check this machine", "doctor", (SAME,)),
    Selector(
        ("login",), "keep a token of the hub", "login",
        (Option(("--token",), To("token"), "TOKEN", "hf_example"),),
    ),
    Selector(
        ("cache",), "downloaded models", "cache",
        (
            Option(("-m", "--model-id"), Own("`tramontane rm MODEL`"), "MODEL", "org/name"),
        ),
        words=("list|delete",),
    ),
    Selector(("from-config",), "serve or run what a TOML file says", "from-config", (FILE,)),
    Selector(("completions",), "a script for a shell", "completions",
             words=("bash|zsh|fish|powershell|elvish",)),
    Selector(("update",), "", "refused",
             (Option(("--tag",), Refused("versions are pip's"), "TAG", "v0.9.0"),)),
    Selector(("uninstall",), "", "refused",
             (Option(("-y", "--yes"), Refused("packages are removed by pip")),)),
)  # fmt: skip
REFUSED = {
    "update": "this is a Python package: pip install --upgrade tramontane",
    "uninstall": "this is a Python package: pip uninstall tramontane-plugin-mistralrs",
}
