"""Options that both generations have, and reasons that several share."""

from __future__ import annotations

from collections.abc import Mapping

from tramontane_plugin_mistralrs import values
from tramontane_plugin_mistralrs.option import Meant, Option, Ours, Own, Refused, To

LISTENS_NOWHERE = Refused("a chat listens nowhere: leave it out, or leave -i out to serve")
SMALL_CACHE = Refused(
    "a chat has room for one context: --pa-ctxt-len or --max-seq-len says how long"
)
PAGES = Meant("keys and values are always kept in pages, on every device")
SEARCH = Own("`--tools search`, of tramontane-plugin-agent")
SEARCH_MODEL = Own(
    "`--tool-option search.embed=MODEL`; embedding-gemma is google/embeddinggemma-300m"
)
ONE_PORT = "`--mcp`, MCP at /mcp, and `--port` where no port is given: both have one port here"
REQUESTS_SEED = Refused('a seed of all requests would give all the same: send "seed" in each')

SEED = Option(
    ("-s", "--seed"),
    {"serve": REQUESTS_SEED, "": To("seed"), "bench": Meant("its tokens are the same each time"),
     "tune": Meant("nothing is drawn"), "quantize": Meant("nothing is drawn")},
    "N", "42",
)  # fmt: skip
LOG = Option(
    ("-l", "--log"),
    {
        "serve": To("log_file"),
        "": Refused("it is the server's log; what runs in a terminal says all there"),
    },
    "FILE", "output.txt",
)  # fmt: skip
TOKEN_SOURCE = Option(("--token-source",), To("token_source"), "SOURCE", "none")
MAX_SEQS = Option(
    ("--max-seqs",),
    {"serve": To("max_seqs"), "": Meant("a chat generates one answer at a time")},
    "N", "16",
)  # fmt: skip
NO_KV_CACHE = Option(
    ("--no-kv-cache",),
    Refused("each token would compute the whole text again, with the same answer: leave it out"),
)
CHAT_TEMPLATE = Option(("-c", "--chat-template"), To("chat_template"), "FILE", "chatml.json")
JINJA_EXPLICIT = Option(("-j", "--jinja-explicit"), To("chat_template"), "FILE", "chat.jinja")
PREFIX_CACHE = Option(
    ("--prefix-cache-n",),
    {
        "serve": To(
            "prefix_cache", values.prefix_cache,
            "0: `--no-prefix-cache`; else on, with as many prefixes as the cache has room for",
        ),
        "": Meant("a chat has one prefix, its own, and keeps it", ("1", "16")),
    },
    "N", "16",
)  # fmt: skip
LAYERS = To("device_map", values.layers, "`--gpu-layers`, or `--device-map` for several devices")
CPU = Option(("--cpu",), To("device", values.on_cpu, "`--device cpu`"))
CACHE_MEGABYTES: Mapping[str, Ours] = {"serve": To("kv_memory", values.megabytes), "": SMALL_CACHE}
CACHE_SHARE: Mapping[str, Ours] = {"serve": To("kv_memory", values.share), "": SMALL_CACHE}
CACHE_TOKENS: Mapping[str, Ours] = {"serve": To("kv_tokens"), "": To("num_ctx")}
CACHE_TYPE = Option(("--pa-cache-type",), To("kv_type", values.cache_type), "TYPE", "f8e4m3")
PAGE_SIZE = Meant("pages hold 16 tokens", ("16",))
MCP_CONFIG = Option(("--mcp-config",), To("mcp_config"), "FILE", "mcp-config.json")
