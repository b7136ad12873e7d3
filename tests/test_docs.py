"""Every page on writing a plugin is installed as written, passes the kit, and does what it says."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tramontane import hookspecs
from tramontane.answers import AnswerParser, Scan
from tramontane.registry import KINDS, SPEC_MARK

DOCS = Path(__file__).parents[1] / "docs"
FENCE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(DOCS.glob("writing-a*.md"))
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, SPEC_MARK)]


def files(page: Path) -> dict[str, str]:
    """The files that a page shows, by their paths."""
    return dict(FENCE.findall(page.read_text("utf-8")))


def distributions(page: Path) -> dict[str, str]:
    """The distributions that a page builds, and the folder of each."""
    projects = {name: text for name, text in files(page).items() if name.endswith("pyproject.toml")}
    found = {name: re.search(r'^name = "(.+)"$', projects[name], re.MULTILINE) for name in projects}
    return {match[1]: str(Path(name).parent) for name, match in found.items() if match}


PART = {
    "acme-tramontane-careful": (
        "-k",
        "quick or described or (references and float32 and not (attention or variants))",
    ),
}
"""Of the kit, for a backend that stands on another: the rest is the other's."""
if os.environ.get("TRAMONTANE_FULL") != "1":  # all of it takes half a minute
    PART["acme-tramontane-unpacked"] = ("-k", "not (attention or variants)")
BUILT = [(page, name) for page in PAGES for name in distributions(page)]


def test_there_is_a_page_for_each_kind():
    built = {page: files(page)["pyproject.toml"] for page in PAGES}
    for kind in KINDS:
        assert [page for page in built if f"tramontane.{kind}" in built[page]], kind


def test_a_model_with_a_state_takes_under_eighty_lines():
    lines = [text.splitlines() for text in files(DOCS / "writing-a-model-with-a-state.md").values()]
    assert sum(bool(line.strip()) for text in lines for line in text) < 80


def test_a_model_that_sees_takes_under_a_hundred_and_twenty_lines():
    lines = [text.splitlines() for text in files(DOCS / "writing-a-model-that-sees.md").values()]
    assert sum(bool(line.strip()) for text in lines for line in text) < 120


@pytest.fixture(scope="module")
def installed(install, tmp_path_factory):
    """Where the distributions of all pages are installed together."""
    folders = []
    for page in PAGES:
        folder = tmp_path_factory.mktemp("page") / page.stem
        for name, text in files(page).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if (folder / "make_model.py").exists():
            subprocess.run([sys.executable, folder / "make_model.py"], check=True, timeout=120)
        folders += [folder / below for below in distributions(page).values()]
    return install(*folders)


def test_the_model_of_another_task_speaks(installed, python, tmp_path):
    code = f"""
import json, pathlib
import numpy as np, torch, tramontane
from safetensors.torch import save_file
from tramontane.errors import RequestError

folder = pathlib.Path({str(tmp_path)!r})
settings = {{"architectures": ["AcmeVoice"], "hidden_size": 32, "hop": 64}}
(folder / "config.json").write_text(json.dumps(settings))
torch.manual_seed(0)
shapes = {{"letters.weight": (256, 32), "out.weight": (64, 32)}}
tensors = {{name: torch.randn(shape) / 6 for name, shape in shapes.items()}}
save_file(tensors, folder / "model.safetensors")
with tramontane.load(folder) as model:
    one, other = (model.speak("hello", seed=seed) for seed in (7, 8))
    parts = list(model.stream("hello", seed=7))
    assert len(parts) == 5 and one.seconds == 5 * 64 / 16000
    assert np.array_equal(one.samples, np.concatenate([part.samples for part in parts]))
    assert not np.array_equal(one.samples, other.samples)
    for text, options in (("", {{}}), ("a" * 1001, {{}}), ("a", {{"speed": 2}})):
        try:
            model.speak(text, **options)
        except RequestError as error:
            print(error)
"""
    done = python("-c", code, path=installed)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "a text of 0 bytes", "a text of 1001 bytes", "this model has one voice and one speed"
    ]  # fmt: skip


@pytest.fixture
def kit(installed, python, tmp_path):
    """(distribution, options) -> what the kit says of it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(distribution, *more):
        quiet = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", "."]
        options = [*quiet, "-c", str(tmp_path / "pytest.ini"), "--tramontane", distribution]
        return python(*options, *more, path=installed)

    return run


@pytest.mark.parametrize("distribution", [name for _, name in BUILT])
def test_a_page_passes_the_kit(distribution, kit):
    done = kit(distribution, *PART.get(distribution, ()))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_strangers_architecture_takes_under_sixty_lines():
    lines = [text.splitlines() for text in files(DOCS / "writing-an-architecture.md").values()]
    written = sum(bool(line.strip()) for text in lines for line in text)
    assert written < 60, f"{written} lines that are not blank"


@pytest.mark.parametrize(
    ("page", "most"),
    [("a-sampler", 30), ("a-tool-caller", 40), ("a-command", 20), ("an-mcp-client", 60)],
)
def test_small_things_stay_small(page, most):
    shown = files(DOCS / f"writing-{page}.md")
    code = [text for name, text in shown.items() if name.endswith(".py")]
    assert sum(bool(line.strip()) for text in code for line in text.splitlines()) <= most


UNPROVEN = "not proven equal to an independent implementation: "


def test_the_architecture_of_the_page_computes_what_transformers_does(kit):
    pytest.importorskip("transformers")
    (name,) = distributions(DOCS / "writing-an-architecture.md")
    alone, compared = kit(name), kit(name, "--reference", "transformers:Olmo2ForCausalLM")
    assert f"{UNPROVEN}AcmeForCausalLM; run with --reference transformers." in alone.stdout
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert f"{UNPROVEN}AcmeForCausalLM;" not in compared.stdout


def test_the_architecture_of_the_page_reads_missing_keys_as_transformers_does(installed, python):
    olmo2 = pytest.importorskip("transformers").Olmo2Config()
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 4}
    code = f"""
import json
from tramontane.config import read_config
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

offer = Registry().get(Architecture, "AcmeForCausalLM")
read = read_config(load(offer.config), {sizes!r})
names = ("rms_norm_eps", "rope_theta", "max_position_embeddings", "tie_word_embeddings")
print(json.dumps({{name: getattr(read, name) for name in names}}))
"""
    assert json.loads(python("-c", code, path=installed).stdout) == {
        "rms_norm_eps": olmo2.rms_norm_eps,
        "rope_theta": olmo2.rope_parameters["rope_theta"],
        "max_position_embeddings": olmo2.max_position_embeddings,
        "tie_word_embeddings": olmo2.tie_word_embeddings,
    }


def test_the_model_of_the_page_runs_as_it_says(installed, python):
    code = "from tramontane.cli.main import main; main(['run', '-m', 'tiny-nonsense', '-i', 'hi'])"
    code = code.replace("'hi'", "'hi', '-n', '3', '--device', 'reference'")
    done = python("-c", code, path=installed)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr, done.stderr


def test_the_sampler_of_the_page_runs_in_a_chain(installed, python):
    code = """
import numpy as np
from tramontane.plugin import Sampler
from tramontane.registry import Registry
from tramontane.sampling import Candidates, History
from tramontane.sampling.chain import parse_chain
from tramontane.plugin import load

((offer, options),) = parse_chain("epsilon:0.2", Registry().all(Sampler))
logits = np.log(np.array([0.5, 0.1, 0.3, 0.1], np.float32))
print(load(offer.build)(options, None)(Candidates.of(logits), History([], [])).ids.tolist())
"""
    assert python("-c", code, path=installed).stdout == "[0, 2]\n"


def test_both_tool_callers_of_the_page_read_the_same():
    page = DOCS / "writing-a-tool-caller.md"
    (shown,) = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(compile(files(page)["acme_calls/parse.py"], "parse.py", "exec"), names)
    exec(compile(shown, "scan.py", "exec"), names)
    for text in (
        'Let me look. <<call get_weather {"city": "Oslo"}>>',
        '<<call a {}>> and <<call b {"c": [1]}>>',
        "<<call me maybe>> 1 << 2",
        '<<call cut {"city": "Os',
    ):
        answer = AnswerParser(Scan(), names["scan"]).whole(text)
        assert [(call.name, call.arguments) for call in answer.calls] == [
            (call.name, call.arguments) for call in names["parse"](text, [])
        ]


def test_the_command_of_the_page_counts(installed, python):
    code = "from tramontane.plugin import *; from tramontane.registry import Registry\n"
    code += "load(Registry().get(Command, 'words').run)(['to be or', 'not to be'])"
    assert python("-c", code, path=installed).stdout == "6\n"


def test_the_mcp_client_of_the_page_calls_a_tool(installed, python, tmp_path):
    code = """
import asyncio, json, sys
from tramontane.errors import TramontaneError
from tramontane.plugin import McpClient, load
from tramontane.registry import Registry
from tramontane.tools import McpServer

ANSWERS = {
    "initialize": {},
    "tools/list": {"tools": [{"name": "add", "inputSchema": {"type": "object"}}]},
}

async def serve(reader, writer):
    while line := await reader.readline():
        asked = json.loads(line)
        if asked["method"] == "tools/call":
            numbers = asked["params"]["arguments"].values()
            answer = {"content": [{"type": "text", "text": str(sum(numbers))}]}
        else:
            answer = ANSWERS[asked["method"]]
        writer.write(b'{"jsonrpc": "2.0", "method": "notifications/message"}\\n')
        writer.write(json.dumps({"id": asked["id"], "result": answer}).encode() + b"\\n")
    writer.close()

async def main(path):
    server = await asyncio.start_unix_server(serve, path)
    connect = load(Registry().get(McpClient, "unix").connect)
    async with connect(McpServer(name="adder", url=f"unix://{path}", timeout=5)) as session:
        print([tool.name for tool in await session.tools()])
        print(await session.call("add", {"a": 2, "b": 3}))
    server.close()

asyncio.run(main(sys.argv[1]))
"""
    done = python("-c", code, str(tmp_path / "socket"), path=installed)
    assert done.stdout == "['add']\n5\n", done.stderr


def test_the_toolset_of_the_page_rolls_dice(installed, python, tmp_path):
    code = """
import asyncio, pathlib, sys
from tramontane.chat.toolbox import Toolbox
from tramontane.plugin import Toolset, load
from tramontane.registry import Registry
from tramontane.tools import ToolCall
from tramontane.toolset import ToolContext

offer = Registry().get(Toolset, "dice")
context = ToolContext(
    conversation="one", folder=pathlib.Path(sys.argv[1]), options={**offer.options, "sides": 2}
)

async def main():
    async with load(offer.open)(context) as session:
        functions = session.functions()
        (said,) = await Toolbox(functions).run_async([ToolCall("roll", '{"count": 50}')])
        print(sorted(set(said.split())), session.rolled, [f.risk for f in functions])

asyncio.run(main())
"""
    done = python("-c", code, str(tmp_path), path=installed)
    assert done.stdout == "['1', '2'] 50 ['read']\n", done.stderr


def test_the_plugins_of_all_pages_are_listed(installed, python):
    code = "from tramontane.cli.plugins import run; run(['--json'])"
    said = json.loads(python("-c", code, path=installed).stdout)
    listed = {item["distribution"]: item for item in said["plugins"]}
    assert {name for _, name in BUILT} <= listed.keys()
    assert [item["problems"] for item in listed.values() if item["problems"]] == []
    kinds = {kind for item in listed.values() for kind in item["offers"]}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_arguments(hook):
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"`{hook}({arguments})`" in (DOCS / "plugins" / "contract.md").read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_record_is_documented(kind):
    page = (DOCS / "plugins" / "contract.md").read_text("utf-8")
    section = page.partition(f"### {KINDS[kind].__name__}\n")[2].partition("\n#")[0]
    own = [field.name for field in fields(KINDS[kind]) if field.name not in ("name", "aliases")]
    missing = [name for name in own if f"| `{name}` |" not in section]
    assert section, f"no section on {KINDS[kind].__name__}"
    assert missing == []


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(DOCS)}: {target}")
    assert broken == []


def test_the_page_is_where_it_says(installed, python):
    code = """
from starlette.testclient import TestClient
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.settings import read

client = TestClient(build(Serving(read(None, {"access_log": "off", "api_key": ["sk"]}))))
assert "<h1>Models</h1>" in client.get("/acme/").text
assert "/v1/models" in client.get("/acme/page.js").text
assert client.post("/acme/echo", content="a").status_code == 401
print(client.post("/acme/echo", content="a", headers={"x-api-key": "sk"}).text)
"""
    done = python("-c", code, path=installed, TRAMONTANE_PLUGINS="acme-tramontane-models")
    assert (done.returncode, done.stdout) == (0, "a\n"), done.stderr
