"""Their environment variables: what each is here."""

from __future__ import annotations

from collections.abc import Mapping

from tramontane.errors import UsageError

from .option import Meant, Ours, Own
from .parallel import MACHINES, NO_NCCL, ONE_MACHINE, RING


class Unused(Own):
    """It changes nothing. said: why, and what does instead."""

    def __str__(self) -> str:
        return f"said to have no effect: {self.said}"


KERNELS = Unused("kernels and their settings are other ones here")
THREADS = Unused("threads are `--threads` of our commands")
VARIABLES: dict[str, Ours] = {
    **dict.fromkeys(
        ("HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT"),
        Meant("read by huggingface_hub"),
    ),
    "HF_HUB_TOKEN": Unused("HF_TOKEN, or `--token-source env:HF_HUB_TOKEN`"),
    "MCP_CONFIG_PATH": Own("`--mcp-config`, where that is not given"),
    "MISTRALRS_DEBUG": Own("names, shapes and types of a file's tensors are written to a file"),
    "RING_CONFIG": Own(RING),
    **dict.fromkeys(
        (
            "MISTRALRS_MN_GLOBAL_WORLD_SIZE", "MISTRALRS_MN_HEAD_NUM_WORKERS",
            "MISTRALRS_MN_HEAD_PORT", "MISTRALRS_MN_WORKER_SERVER_ADDR", "MISTRALRS_MN_WORKER_ID",
        ),
        Own(MACHINES),
    ),
    "MISTRALRS_MN_LOCAL_WORLD_SIZE": Own(ONE_MACHINE),
    "MISTRALRS_NO_NCCL": Own(NO_NCCL),
    "MISTRALRS_NO_MMAP": Own("`--no-mmap`"),
    "RUST_LOG": Unused("`-v` says how a model was loaded"),
    "KEEP_ALIVE_INTERVAL": Own("`--keep-alive`, milliseconds there and seconds here"),
    "MISTRALRS_ALLOW_RUNTIME_LORA_UPDATING": Own("`--adapter-downloads`"),
    "MISTRALRS_LORA_ADAPTER_ROOT": Own("`--adapter-folder`"),
    "MISTRALRS_SANDBOX": Own("auto, on or off, whatever `--sandbox` says"),
    **dict.fromkeys(
        (
            "RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "CANDLE_CPU_MASK", "CANDLE_CPU_AFFINITY",
            "CANDLE_BARRIER_POOL_SPIN_LIMIT",
        ),
        THREADS,
    ),
    **dict.fromkeys(
        (
            "MISTRALRS_CPU_KV_F32", "MISTRALRS_FORCE_AVX2", "MISTRALRS_ISQ_SINGLETHREAD",
            "MISTRALRS_CUDA_GRAPHS", "MISTRALRS_DFLASH_ADAPTIVE", "MISTRALRS_DFLASH_ISQ",
            "MISTRALRS_FLASHINFER_DECODE", "MISTRALRS_GDN_DECODE_KERNEL", "MISTRALRS_NO_MLA",
            "MISTRALRS_FP8_SM90_PROVIDER", "MISTRALRS_GGUF_AFFINE_BACKEND",
            "MISTRALRS_MOE_BACKEND", "MISTRALRS_IGPU_MEMORY_FRACTION",
            "MISTRALRS_CUDA_GRAPH_SPEC_STATE_BUDGET_BYTES", "MISTRALRS_DEEPGEMM_CACHE_DIR",
            "MISTRALRS_DEEPGEMM_NVCC", "CUTILE_TILEIRAS_PATH",
        ),
        KERNELS,
    ),
}  # fmt: skip
"""Each variable, and what becomes of it; those of building and installing have no place here."""


def notes(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that is set and changes nothing."""
    return [
        f"{name} has no effect: {ours.said.replace('`', '')}"
        for name, ours in VARIABLES.items()
        if isinstance(ours, Unused) and environ.get(name)
    ]


def options(environ: Mapping[str, str], command: str) -> dict[str, object]:
    """Our options that variables set; weaker than a command line's. Raises UsageError."""
    found: dict[str, object] = {}
    if (path := environ.get("MCP_CONFIG_PATH")) and command in ("run", "serve"):
        found["mcp_config"] = path
    if environ.get("MISTRALRS_NO_MMAP"):
        # serve has the opposite switch
        found |= {"mmap": False} if command == "serve" else {"no_mmap": True}
    if command != "serve":
        return found
    if interval := environ.get("KEEP_ALIVE_INTERVAL"):
        if not interval.isdecimal() or not int(interval):
            raise UsageError(f"KEEP_ALIVE_INTERVAL={interval}: not a number of milliseconds")
        found["keep_alive"] = int(interval) / 1000
    if environ.get("MISTRALRS_ALLOW_RUNTIME_LORA_UPDATING"):
        found["adapter_downloads"] = True
    if root := environ.get("MISTRALRS_LORA_ADAPTER_ROOT"):
        found["adapter_folder"] = root
    return found
