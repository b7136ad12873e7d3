"""The forms of options, one table for all commands: short forms, other spellings, who sees them.

`Parser` applies it, so options of plugins' commands have the same forms as built-in ones.
"""

from __future__ import annotations

FORMS: dict[str, tuple[str, ...]] = {
    "--model": ("-m",),
    "--threads": ("-t",),
    "--input": ("-i", "-p", "--prompt"),
    "--max-tokens": ("-n",),
    "--quiet": ("-q",),
    "--file": ("-f",),
    "--verbose": ("-v",),
    "--hf-cache": ("--cache-dir",),
    "--token-bias": ("--logit-bias",),
    "--suppress-token": ("--suppress-tokens",),
    "--gpu-layers": ("-ngl", "--n-gpu-layers"),
    "--device-map": ("--num-device-layers",),
    "--n-cpu-moe": ("-ncmoe",),
    "--cpu-moe": ("-cmoe",),
    "--lora": ("--anymoe",),
}
"""Further spellings of an option, in every command that has it."""

SWITCHES: dict[str, str] = {"--force": "--force", "--mmap": "--no-mmap"}
"""Of a pair --X and --no-X the one that help shows; the other, valid too, is the default."""

ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "--hf-cache": ("HF_HUB_CACHE", "HF_HOME"),
    "--api-key": ("TRAMONTANE_API_KEY",),
}
"""Variables of the environment that set an option; the user's configuration file is weaker."""

COMMON = {
    "--model", "--quant", "--isq", "--threads", "--num-ctx", "--max-tokens", "--temperature",
    "--seed",
    # of the server
    "--config", "--host", "--port", "--api-key", "--api-key-file", "--name", "--alias", "--device",
    "--gpu-layers",
    "--max-seqs", "--mcp-config", "--log-file", "--tools",
}  # fmt: skip
"""Options in groups that `--help` shows; `--help-all` shows the others too."""

RARE = {
    "--shift",
    "--max-sequence-length",
    "--prompt-file",
    "--no-template",
    "--logprobs",
    "--video",
    "--reasoning-effort",
    "--print",
}
"""Options outside of groups that only `--help-all` shows."""

MANY = 20
"""A command with no more options than this shows all of them with `--help`."""
