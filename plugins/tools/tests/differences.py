"""Where what is found differs from all three recorded parsers, and why."""

from __future__ import annotations

REASONS = {
    "kept": "text after a call is the user's to read, and is kept",
    "closed": "a call is whole when its arguments are: engines do not show the end token that "
    "closes it, and all that could follow is marks",
    "cut": "arguments stream as they come, so a call that is cut off is told as that: it is "
    "neither plain text nor passed off as whole",
    "opened": "without its opening it is plain text, and none of that is dropped",
}

CALLS = {
    "deepseek_v3": {"kept": "batch.2.c", "closed": "batch.5.a batch.5.d"},
    "deepseek_v3_1": {"kept": "batch.2.c", "closed": "batch.5.d"},
    "deepseek_v3_2": {"kept": "batch.2.c"},
    "deepseek_v4": {"kept": "batch.2.c"},
    "gemma4": {"kept": "batch.2.c"},
    "glm47": {"closed": "batch.5.a batch.5.d stream.4.a"},
    "harmony": {"closed": "batch.5.a batch.5.d stream.4.a"},
    "hermes": {"kept": "batch.2.c", "cut": "batch.5.c stream.4.b"},
    "jamba": {"kept": "batch.2.c", "cut": "batch.5.c batch.5.e stream.4.b"},
    "kimi_k2": {"kept": "batch.2.c", "closed": "batch.5.d"},
    "llama3_json": {"kept": "stream.4.c", "closed": "batch.5.a batch.5.d stream.4.a"},
    "mistral": {"kept": "batch.2.c"},
    "nemotron_deci": {"kept": "batch.2.c", "closed": "batch.2.b", "cut": "batch.5.e",
                      "opened": "batch.5.b"},
    "nemotron_nano": {"kept": "batch.2.c", "cut": "batch.5.c batch.5.e stream.4.b"},
    "phi4": {"kept": "batch.2.c", "closed": "batch.5.a batch.5.d stream.4.a",
             "cut": "batch.5.e", "opened": "stream.4.c"},
    "pythonic": {"closed": "batch.5.a batch.5.d", "cut": "batch.5.c batch.5.e"},
    "qwen25": {"kept": "batch.2.c", "closed": "batch.5.a batch.5.d stream.4.a"},
    "qwen3_coder": {"kept": "batch.2.c", "cut": "batch.5.c stream.4.b"},
}  # fmt: skip


def expected_differences() -> set[tuple[str, str]]:
    """(family, case) of all that is listed."""
    return {
        (family, case)
        for family, reasons in CALLS.items()
        for cases in reasons.values()
        for case in cases.split()
    }
