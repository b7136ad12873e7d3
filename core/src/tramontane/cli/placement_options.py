"""Options of placing a model on devices, and what they become."""

from __future__ import annotations

import argparse
from typing import Any

from tramontane.errors import ConfigError, UsageError


def add_placement(group: Any) -> None:
    """Beside --device."""
    group.add_argument(
        "--gpu-layers", metavar="N",
        help="put the last N layers on the device and the rest on the processor; what is outside "
        "layers counts as one of them; all, or auto: as many as fit",
    )  # fmt: skip
    group.add_argument(
        "--device-map",
        metavar="MAP",
        help="layers on devices: cuda:0=0-15,cpu=16-31; or counts on accelerators, 0:16;1:16",
    )
    experts = group.add_mutually_exclusive_group()
    experts.add_argument(
        "--n-cpu-moe", metavar="N", help="keep the experts of the first N layers on the processor"
    )
    experts.add_argument(
        "--cpu-moe", dest="n_cpu_moe", action="store_const", const="all",
        help="keep the experts of all layers on the processor",
    )  # fmt: skip
    group.add_argument(
        "--tp", metavar="N",
        help="compute the model with N processes, each with a share of its weights (tensor "
        "parallel); auto: one for each NUMA node",
    )  # fmt: skip
    group.add_argument(
        "--tp-nodes", metavar="I/M@HOST:PORT",
        help="the processes of --tp are on M machines, this is number I, from 0 on; they meet at "
        "the first one's address",
    )  # fmt: skip
    group.add_argument(
        "--interconnect", metavar="NAME",
        help="what processes exchange numbers over: shm, gloo, nccl, ring, or a plugin's, with "
        "options as NAME:OPTION=VALUE",
    )  # fmt: skip
    group.add_argument(
        "--tp-timeout", type=float, metavar="S", default=30.0,
        help="seconds after which a process that does not answer is given up",
    )  # fmt: skip


def placement(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `LLM`. Raises UsageError."""
    from tramontane.placement.asked import parse_cpu_moe, parse_gpu_layers, parse_map

    try:
        if options.device_map is not None:
            parse_map(options.device_map)
        return {
            "gpu_layers": parse_gpu_layers(options.gpu_layers),
            "device_map": options.device_map,
            "n_cpu_moe": parse_cpu_moe(options.n_cpu_moe),
            **ranks(options),
        }
    except ConfigError as error:
        raise UsageError(_by_option(str(error))) from error


def ranks(options: argparse.Namespace) -> dict[str, Any]:
    """The part of `placement` that is about several processes. Raises UsageError."""
    tp = options.tp
    if tp is not None and tp != "auto":
        if not tp.isdigit() or int(tp) < 1:
            raise UsageError(f"--tp {tp}: a number of processes from 1 on, or auto")
        tp = int(tp)
    if not options.tp_timeout > 0:
        raise UsageError(f"--tp-timeout {options.tp_timeout:g}: a number of seconds above 0")
    return {
        "tp": tp,
        "tp_nodes": options.tp_nodes,
        "tp_timeout": options.tp_timeout,
        "interconnect": options.interconnect,
    }


def home_name(device: str, device_map: str | None, gpu_layers: str | None) -> str:
    """The device that most is prepared for while torch is imported, as far as options say it; only
    a hint."""
    first = (device_map or "").strip().partition("=")[0].strip()
    if device_map is not None and not first[:1].isdigit():
        return first
    return "cpu" if gpu_layers == "0" else device


def _by_option(said: str) -> str:
    """An error about a Python argument, with the option's name."""
    for name in ("gpu_layers", "n_cpu_moe"):
        said = said.replace(name, f"--{name.replace('_', '-')}", 1)
    return said.replace("device map", "--device-map", 1)
