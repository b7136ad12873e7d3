"""Whether models can be downloaded."""

from __future__ import annotations

import queue
import threading
import time
import urllib.error
import urllib.request

from .finding import Finding

PATIENCE = 3.0
"""Seconds; looking up a name may ignore any timeout, so a thread is left behind instead."""


def hub() -> Finding:
    """The hub's state; being offline is never a problem, since models in the cache still run."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    details = {"endpoint": ENDPOINT, "offline": bool(HF_HUB_OFFLINE)}
    if HF_HUB_OFFLINE:
        said = "HF_HUB_OFFLINE is set: only models in the cache run"
        return Finding("hub", "ok", said, details=details | {"reachable": False})
    answered: queue.SimpleQueue[str] = queue.SimpleQueue()
    started = time.perf_counter()
    threading.Thread(target=lambda: answered.put(_ask(ENDPOINT)), daemon=True).start()
    try:
        trouble = answered.get(timeout=PATIENCE)
    except queue.Empty:
        trouble = f"no answer within {PATIENCE:.0f} s"
    seconds = time.perf_counter() - started
    if trouble:
        return Finding(
            "hub",
            "warning",
            f"{ENDPOINT} cannot be reached: {trouble}",
            "check the network and HTTPS_PROXY; with HF_HUB_OFFLINE=1 only the cache is used",
            details | {"reachable": False},
        )
    said = f"{ENDPOINT} answers in {seconds * 1000:.0f} ms"
    return Finding("hub", "ok", said, details=details | {"reachable": True})


def _ask(endpoint: str) -> str:
    """What keeps the hub from answering, or nothing."""
    request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "tramontane"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return ""
    except urllib.error.HTTPError as error:  # it answers, if not with what was asked
        return "" if error.code < 500 else str(error)
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
