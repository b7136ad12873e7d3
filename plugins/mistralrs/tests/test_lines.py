"""Command lines of mistral.rs's documents, each with ours, which our own parsers take."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tramontane.errors import UsageError
from tramontane_plugin_mistralrs.command import plan_of
from tramontane_plugin_mistralrs.parse import MISTRALRS, SERVER, parse
from tramontane_plugin_mistralrs.plan import Plan

ANY = "--alias '*'"


def ours(line: str) -> Plan:
    """The plan of a command line."""
    name, *arguments = shlex.split(line)
    program = SERVER if name == "mistralrs-server" else MISTRALRS
    return plan_of(parse(program, arguments))[0]


PHI = "microsoft/Phi-3.5-mini-instruct"
GGUF = "bartowski/Phi-3.5-mini-instruct-GGUF"
FILE = "Phi-3.5-mini-instruct-Q4_K_M.gguf"
FLUX = "black-forest-labs/FLUX.1-schnell"
SEES = "lamm-mit/Cephalo-Llama-3.2-11B-Vision-Instruct-128k"
LLAMA = "meta-llama/Llama-3.2-3B-Instruct"
MOE = "microsoft/Phi-3.5-MoE-instruct"
ZEPHYR = "TheBloke/zephyr-7B-beta-GGUF"
LINES = [
    (f"mistralrs-server -i plain -m {PHI} -a phi3", f"run -m {PHI}"),
    (f"mistralrs-server -i plain -m {MOE} -a phi3.5moe", f"run -m {MOE}"),
    (
        "mistralrs-server --token-source none -i plain -m microsoft/Phi-3-mini-128k-instruct "
        "-a phi3",
        "run -m microsoft/Phi-3-mini-128k-instruct --token-source none",
    ),
    (
        f"mistralrs-server --port 1234 plain -m {MOE} -a phi3.5moe",
        f"serve -m {MOE} --port 1234 --name {MOE} {ANY}",
    ),
    (f"mistralrs-server -i vision-plain -m {SEES} -a vllama", f"run -m {SEES}"),
    (
        "mistralrs-server --port 1234 vision-plain -m microsoft/Phi-3.5-vision-instruct -a phi3v",
        "serve -m microsoft/Phi-3.5-vision-instruct --port 1234 "
        f"--name microsoft/Phi-3.5-vision-instruct {ANY}",
    ),
    (f"mistralrs-server -i diffusion-plain -m {FLUX} -a flux", f"image -m {FLUX}"),
    (
        f"mistralrs-server --port 1234 diffusion-plain -m {FLUX} -a flux",
        f"serve -m {FLUX} --port 1234 --name {FLUX} {ANY}",
    ),
    (
        f"mistralrs-server gguf -m {GGUF} -f {FILE} -t {PHI}",
        f"serve -m {GGUF}:{FILE} --name {GGUF} {ANY}",
    ),
    (f"mistralrs-server gguf -m {GGUF} -f {FILE}", f"serve -m {GGUF}:{FILE} --name {GGUF} {ANY}"),
    (
        f"mistralrs-server gguf -m path/to/files -f {FILE}",
        f"serve -m path/to/files/{FILE} --name path/to/files {ANY}",
    ),
    (
        "mistralrs-server --port 1234 --log output.txt gguf -t HuggingFaceH4/zephyr-7b-beta "
        f"-m {ZEPHYR} -f zephyr-7b-beta.Q5_0.gguf",
        f"serve -m {ZEPHYR}:zephyr-7b-beta.Q5_0.gguf --port 1234 --log-file output.txt "
        f"--name {ZEPHYR} {ANY}",
    ),
    ("mistralrs-server -i run -m path/to/model", "run -m path/to/model"),
    (
        "mistralrs-server -i speech -m nari-labs/Dia-1.6B -a dia",
        "speak -m nari-labs/Dia-1.6B",
    ),
    (f"mistralrs-server -i diffusion -m {FLUX}", f"image -m {FLUX}"),
    *[
        (f"mistralrs-server -i --isq {bits} run -m {model}", f"run -m {model} --isq {bits}")
        for bits, model in (
            (4, "meta-llama/Llama-4-Scout-17B-16E-Instruct"), (8, LLAMA),
            (8, "meta-llama/Llama-3.2-11B-Vision-Instruct"), (8, "google/gemma-3-4b-it"),
            (8, "google/gemma-3n-E4B-it"), (8, "Qwen/Qwen3-8B"),
        )
    ],
    (f"mistralrs-server -i plain -m {LLAMA}", f"run -m {LLAMA}"),
    (f"mistralrs-server -i vision-plain -m {SEES}", f"run -m {SEES}"),
    (
        f"mistralrs-server --port 1234 run -m {MOE}",
        f"serve -m {MOE} --port 1234 --name {MOE} {ANY}",
    ),
    (
        "mistralrs-server --mcp-config mcp-config.json --port 1234 run -m Qwen/Qwen3-4B",
        "serve -m Qwen/Qwen3-4B --mcp-config mcp-config.json --port 1234 "
        f"--name Qwen/Qwen3-4B {ANY}",
    ),
    (
        "mistralrs-server --mcp-port 4321 plain -m Qwen/Qwen3-4B",
        f"serve -m Qwen/Qwen3-4B --mcp --port 4321 --name Qwen/Qwen3-4B {ANY}",
    ),
    (
        "mistralrs-server --token-source env:HF_TOKEN -i plain -m org/a",
        "run -m org/a --token-source env:HF_TOKEN",
    ),
    (
        "mistralrs serve -m Qwen/Qwen3-30B-A3B-Instruct",
        "serve -m Qwen/Qwen3-30B-A3B-Instruct --name Qwen/Qwen3-30B-A3B-Instruct",
    ),
    ("mistralrs doctor", "doctor"),
    ("mistralrs run -m Qwen/Qwen3-4B --isq 4", "run -m Qwen/Qwen3-4B --isq 4"),
    ("mistralrs run diffusion -m org/a -i 'a fox'", "image -m org/a --input 'a fox'"),
    ("mistralrs run -m org/a-GGUF -f a.gguf --format gguf", "run -m org/a-GGUF:a.gguf"),
    (
        "mistralrs bench -m org/a --prompt-len 128,512 --gen-len 64 --iterations 2 --warmup 1",
        "bench -m org/a --prompt 128,512 --gen 64 --reps 2",
    ),
    ("mistralrs quantize -m org/a --isq q4k -o a.gguf", "quantize -m org/a --to q4_k a.gguf"),
    (
        "mistralrs tune -m org/a --profile fast --json",
        "tune -m org/a --profile fast --json",
    ),
    ("mistralrs uqff inspect -m org/a", "inspect -m org/a"),
    ("mistralrs login --token hf_a", "login --token hf_a"),
    ("mistralrs cache list", "list"),
    ("mistralrs cache delete -m org/a", "rm org/a"),
    (
        "mistralrs serve -m org/a --lora t=org/t --paged-attn on --pa-memory-fraction 0.5 -p 8080",
        "serve -m org/a --port 8080 --kv-memory 50% --lora t=org/t --name org/a",
    ),
    (
        "mistralrs run -m org/a --mtp-model org/d --mtp-n-predict 4",
        "run -m org/a --draft org/d:max=4",
    ),
    (
        "mistralrs-server -n '0:16;1:16' -i plain -m org/a",
        "run -m org/a --device-map '0:16;1:16'",
    ),
    (
        "mistralrs serve -m org/a --no-ui --enable-search",
        "serve -m org/a --no-pages --tools search --approvals auto --name org/a",
    ),
    (
        "mistralrs-server --enable-search --search-bert-model org/bert plain -m org/a",
        "serve -m org/a --tools search --tool-option search.embed=org/bert --approvals auto "
        f"--name org/a {ANY}",
    ),
    ("mistralrs-server -vi plain -m org/a", None),
    ("mistralrs-server -i -n10 plain -m org/a", "run -m org/a --gpu-layers 10"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[line for line, _ in LINES])
def test_a_line_is_ours(line: str, expected: str | None, parses: object) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="unknown option -v"):
            ours(line)
        return
    found = ours(line).arguments()
    assert sorted(found) == sorted(shlex.split(expected))
    assert found[:3] == shlex.split(expected)[:3]
    parses(found)  # type: ignore[operator]


def test_the_document_s_lines_are_all_here(shared_commands: Path) -> None:
    """Each line of the reference begins like one that was tested above, or in a file's test."""
    text = shared_commands.read_text("utf-8")
    told = [
        line.partition("  #")[0].strip()
        for line in text.splitlines()
        if line.startswith(("mistralrs-server ", "mistralrs "))
    ]
    assert len(told) > 25
    for line in told:
        if "multi-model" in line or " toml " in line or "[-t" in line or "..." in line:
            continue  # files, and forms that stand for several
        plan = ours(line.replace("[-a flux]", "-a flux"))
        assert plan.command in ("run", "serve", "image", "speak", "doctor"), line


def test_a_selector_in_toml(tmp_path: Path, parses: object) -> None:
    path = tmp_path / "gguf.toml"
    path.write_text(
        f'[model]\ntok_model_id = "{PHI}"\nquantized_model_id = "{GGUF}"\n'
        f'quantized_filename = "{FILE}"\n[speculative]\ngamma = 8\n[speculative.draft_model]\n'
        'model_id = "org/small"\narch = "phi3"\n'
    )
    plan = ours(f"mistralrs-server --port 1234 toml -f {path}")
    assert plan.models[0]["model"] == f"{GGUF}:{FILE}"
    assert plan.models[0]["draft"] == "org/small:max=8"
    assert plan.template_of == PHI
    parses(plan.arguments())  # type: ignore[operator]


def test_anymoe_in_toml_is_kept_for_training(tmp_path: Path) -> None:
    path = tmp_path / "anymoe_lora.toml"
    path.write_text(
        '[model]\nmodel_id = "org/a"\narch = "mistral"\n[anymoe]\ndataset_json = "rows.json"\n'
        'prefix = "model.layers"\nmlp = "mlp"\nmodel_ids = ["org/e"]\nlayers = [0]\n'
        "[anymoe.config]\nhidden_size = 64\n"
    )
    given = parse(SERVER, ["-i", "toml", "-f", str(path)])
    plan, settings = plan_of(given)
    assert (plan.command, settings["dataset_json"]) == ("run", "rows.json")


def test_several_models_in_json(tmp_path: Path, parses: object) -> None:
    path = tmp_path / "example-multi-model-config.json"
    path.write_text(
        json.dumps(
            {
                "qwen": {"alias": "q", "Plain": {"model_id": "Qwen/Qwen3-4B"},
                         "in_situ_quant": "Q4K"},
                "llama": {"Plain": {"model_id": LLAMA}},
            }
        )
    )  # fmt: skip
    plan = ours(
        f"mistralrs-server --port 1234 multi-model --config {path} --default-model-id {LLAMA}"
    )
    assert [model["name"] for model in plan.models] == [LLAMA, "Qwen/Qwen3-4B"]
    assert plan.models[1]["alias"] == ["qwen", "q"]
    assert plan.models[1]["isq"] == "q4_k"
    parses(["serve", "--config", str(_written(tmp_path, plan))])  # type: ignore[operator]


def test_from_config(tmp_path: Path, parses: object) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(
        'command = "serve"\ndefault_model_id = "org/b"\n[server]\nport = 8080\nhost = "127.0.0.1"\n'
        '[runtime]\nmax_seqs = 4\n[paged_attn]\nmode = "auto"\ncontext_len = 2048\n'
        '[[models]]\nkind = "text"\nmodel_id = "org/a"\n[models.quantization]\nisq = "4"\n'
        '[[models]]\nkind = "auto"\nmodel_id = "org/b"\n[models.adapter]\n'
        'lora = [{alias = "t", source = "org/t"}]\n[models.device]\ncpu = true\n'
    )
    plan = ours(f"mistralrs from-config -f {path}")
    assert [model["model"] for model in plan.models] == ["org/b", "org/a"]
    assert plan.options == {"port": "8080", "host": "127.0.0.1"}
    assert plan.models[0]["lora"] == ["t=org/t"]
    assert plan.models[0]["device"] == "cpu"
    assert plan.models[1] | {"isq": "4", "kv_tokens": "2048", "max_seqs": "4"} == plan.models[1]
    parses(["serve", "--config", str(_written(tmp_path, plan))])  # type: ignore[operator]


def _written(folder: Path, plan: Plan) -> Path:
    path = folder / "ours.toml"
    path.write_text(plan.toml())
    return path
