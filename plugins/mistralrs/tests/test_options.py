"""Every option of theirs: it becomes one of ours that our parsers take, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tramontane.errors import TramontaneError, UsageError
from tramontane_plugin_mistralrs import command as program
from tramontane_plugin_mistralrs.architectures import CLASSES
from tramontane_plugin_mistralrs.environment import VARIABLES, notes, options
from tramontane_plugin_mistralrs.option import Meant, Option, Refused, Selector
from tramontane_plugin_mistralrs.page import rows
from tramontane_plugin_mistralrs.parse import MISTRALRS, SERVER, Given, Program, parse
from tramontane_plugin_mistralrs.plan import Plan
from tramontane_plugin_mistralrs.tools import SETTINGS, add_mode
from tramontane_plugin_mistralrs.translate import translate
from tramontane_plugin_mistralrs.values import KINDS, NO_KINDS, isq_kind

ROOT = Path(__file__).parents[3]
NEEDS = {
    "tgt_non_granular_index": "--xlora org/x --xlora-order o.json", "order": "-a org/adapter",
    "xlora_order": "--xlora org/x", "legacy_lora_order": "--legacy-lora org/a",
    "xlora": "--xlora-order o.json", "xlora_model_id": "--order o.json",
    "mtp_n_predict": "--mtp", "quantized_file": "--format gguf", "format": "-f a.gguf",
    **dict.fromkeys(SETTINGS, "--agent"),
}  # fmt: skip
"""Options that are nothing without another."""


def lines() -> Iterator[tuple[Program, str, Option, list[str]]]:
    """Each option with its example, in a line that is whole."""
    for each in (SERVER, MISTRALRS):
        for option in each.options:
            chat = "-i" if each is SERVER else ""
            run = "plain -m org/a" if each is SERVER else "run -m org/a"
            for start in (chat, "") if each is SERVER else ("",):
                words = [*([start] if start else []), option.names[-1], *_value(option)]
                yield each, "global", option, [*words, *run.split()]
        for selector in each.selectors:
            for option in selector.options:
                yield each, selector.name, option, _line(each, selector, option)


def _value(option: Option) -> list[str]:
    return [option.example] if option.value else []


def _line(each: Program, selector: Selector, option: Option) -> list[str]:
    words = [selector.name]
    have = {option.key}
    known = {one.key: one for one in selector.options}
    if selector.words:
        words.append({"uqff": "inspect", "cache": "delete"}.get(selector.name, "bash"))
    for key in ("model_id", "quantized_model_id", "quantized_filename", "output"):
        if key in known and key not in have:
            words += [known[key].names[0], known[key].example]
    if selector.name == "quantize" and option.key != "isq":
        words += ["--isq", "4"]
    for key, needed in (("xlora_model_id", "xlora_order"), ("xlora_model_id", "order")):
        if key in known and needed in known and selector.name.startswith("x-lora"):
            words += [] if option.key == key else [known[key].names[0], "org/x"]
            words += [] if option.key == needed else [known[needed].names[-1], "o.json"]
    if selector.name.startswith("lora") and option.key != "adapters_model_id":
        words += ["-a", "org/a"] if option.key == "order" else []
    elif not selector.name.startswith("x-lora"):
        words += NEEDS.get(option.key, "").split()
    return [*words, option.names[-1], *_value(option)]


FILES = ("toml", "multi-model", "from-config", "completions")
"""Subcommands that read files, or print a script: test_lines.py has them."""
CASES = [case for case in lines() if case[1] not in FILES]


def translated(given: Given) -> tuple[Plan | None, str]:
    """What a line is here, or why it is refused."""
    try:
        return translate(given), ""
    except UsageError as error:
        return None, error.message


@pytest.mark.parametrize(
    ("each", "option", "line"), [(each, option, line) for each, _, option, line in CASES],
    ids=[f"{each.name} {' '.join(line)}" for each, _, _, line in CASES],
)  # fmt: skip
def test_an_option_works_or_is_refused_by_name(
    each: Program,
    option: Option,
    line: list[str],
    parses: Callable[[list[str]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text('{"order": ["a"]}')
    (tmp_path / "order.json").write_text('{"order": ["a"], "base_model_id": "org/a"}')
    given = parse(each, line)
    assert (option, option.example or True) in given.options
    plan, error = translated(given)
    if plan is None:
        told = option.ours.values() if isinstance(option.ours, dict) else [option.ours]
        refused = any(isinstance(ours, Refused | Meant) for ours in told)
        whole = given.selector.runs == "refused"
        assert whole or (refused and option.name in error), error
        return
    assert not isinstance(option.on(plan.command), Refused)
    parses(plan.arguments())


def test_the_page_has_every_option_and_command() -> None:
    page = (ROOT / "docs" / "mistralrs.md").read_text("utf-8")
    for row in rows():
        assert row in page, (
            f"run: python -m tramontane_plugin_mistralrs.page docs/mistralrs.md\n{row}"
        )


def test_no_option_is_there_twice() -> None:
    for each in (SERVER, MISTRALRS):
        for selector in each.selectors:
            names = [name for option in selector.options for name in option.names]
            assert len(names) == len(set(names)), (each.name, selector.name, sorted(names))


@pytest.mark.parametrize("name", [*KINDS, *(k.lower() for k in KINDS), "2", "4", "8", "Q4_K"])
def test_a_type_is_one_that_isq_makes(name: str) -> None:
    from tramontane.registry import known

    made = {kind.partition(":")[2] for kind in known("kinds")}
    assert isq_kind(name) in made | {"2", "4", "8"}


@pytest.mark.parametrize("name", [*NO_KINDS, "Q9K", "", "1"])
def test_other_types_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--isq"):
        isq_kind(name)


WRONG = [
    ("mistralrs-server plain", "the model is missing: -m MODEL"),
    (
        "mistralrs-server plain -m org/a --archi phi3",
        "unknown option --archi; did you mean --arch?",
    ),
    ("mistralrs-server plane -m org/a", "no subcommand 'plane'; did you mean plain?"),
    ("mistralrs-server --port", "--port needs a value"),
    ("mistralrs-server --port= plain", "--port has an empty value"),
    ("mistralrs-server -p 1 -p 2 plain -m a", "--port is given twice"),
    ("mistralrs-server --cpu=1 plain -m a", "--cpu takes no value"),
    ("mistralrs-server plain -m a b", "unexpected argument 'b'"),
    ("mistralrs-server plain -m org/a -a llamma", "there is no such architecture"),
    ("mistralrs-server --port 1 --mcp-port 2 plain -m a", "give one of them"),
    ("mistralrs-server gguf -m org/a", "the file of org/a is missing: -f FILE"),
    ("mistralrs-server gguf -m org/a -f a.gguf;b.gguf", "are not the parts of one model"),
    ("mistralrs-server -n 1-2 plain -m a", "as 10, or DEVICE:LAYERS"),
    ("mistralrs-server toml -f nowhere.toml", "cannot read nowhere.toml"),
    ("mistralrs-server multi-model --config nowhere.json", "cannot read nowhere.json"),
    ("mistralrs-server x-lora -m org/a -x org/x", "needs its ordering file: -o FILE"),
    ("mistralrs-server x-lora -x org/x --order nowhere.json", "nowhere.json cannot be read"),
    ("mistralrs run embedding -m a", "tramontane embed MODEL TEXT"),
    ("mistralrs run -m a --lora tales", "as ALIAS=SOURCE"),
    ("mistralrs run -m a --lora {", "not JSON"),
    ("mistralrs run -m a --mtp-n-predict 2", "goes with --mtp"),
    ("mistralrs run -m a --format exl2", "must be plain, gguf or ggml"),
    ("mistralrs serve -m a --pa-block-size 8", "--pa-block-size 8: only 16 can be had"),
    ("mistralrs quantize -m a --isq 4", "where to is missing: -o OUT"),
    ("mistralrs quantize -m a -o a.uqff --isq 4", "UQFF is read, not written"),
    ("mistralrs quantize -m a -o b --isq 4 --isq 8", "2 times --isq: give one"),
    ("mistralrs uqff verify -m a", "no reports of UQFF files are made"),
    ("mistralrs update", "pip install --upgrade tramontane"),
    ("mistralrs uninstall -y", "pip uninstall tramontane-plugin-mistralrs"),
    ("mistralrs completions tcsh", "completions tcsh: must be bash, zsh, fish, powershell"),
    ("mistralrs cache delete", "the model is missing: -m MODEL"),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line for line, _ in WRONG])
def test_what_cannot_be_is_one_line(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *arguments = line.split()
    run = program.mistralrs_server if name == "mistralrs-server" else program.mistralrs
    assert run(arguments) in (1, 2)
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_something_here(name: str) -> None:
    value = {"KEEP_ALIVE_INTERVAL": "5000"}.get(name, "1")
    said = str(VARIABLES[name])
    if name.startswith("MISTRALRS_MN_") or name in ("RING_CONFIG", "MISTRALRS_NO_NCCL"):
        assert said.startswith("`--")  # test_processes.py has them
    elif name == "MISTRALRS_SANDBOX":
        with pytest.raises(UsageError, match="must be auto, on or off"):
            add_mode(Plan("serve"), value)
    elif said.startswith("said"):
        assert [line.partition(" ")[0] for line in notes({name: value})] == [name]
    elif said.startswith("`--"):
        assert options({name: value}, "serve")
    else:
        assert notes({name: value}) == []


def test_their_names_of_classes_are_ours() -> None:
    """Architectures of theirs that we have too are found under the same class."""
    from tramontane.registry import known

    ours = known("architectures")
    found = [name for name, classes in CLASSES.items() if any(each in ours for each in classes)]
    assert len(found) > 30


def test_another_architecture_than_said_is_refused(tmp_path: Path) -> None:
    from tramontane_plugin_mistralrs.look import look

    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    plan = translate(parse(SERVER, ["-i", "plain", "-m", str(tmp_path), "-a", "phi3"]))
    with pytest.raises(TramontaneError, match="is of LlamaForCausalLM"):
        look(plan, debug=False)
    look(translate(parse(SERVER, ["plain", "-m", str(tmp_path), "-a", "llama"])), debug=False)


def test_variables_are_options_of_a_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (
        ("MISTRALRS_NO_MMAP", "1"), ("KEEP_ALIVE_INTERVAL", "5000"), ("MCP_CONFIG_PATH", "m.json")
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    assert program.mistralrs_server(["--translate", "plain", "-m", "org/a"]) == 0
    told = capsys.readouterr().out
    for option in ("--no-mmap", "--keep-alive 5.0", "--mcp-config m.json"):
        assert option in told


def test_prompts_of_a_terminal_end_with_the_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import io

    import numpy as np
    from tramontane.tasks import image
    from tramontane.tasks.image import Images

    class Draws:
        def __init__(self, model: str, **given: object) -> None:
            self.model = model

        def __enter__(self) -> Draws:
            return self

        def close(self) -> None:
            pass

        def images(self, prompt: str, **given: object) -> Images:
            return Images((np.zeros((2, 2, 3), np.uint8),), (1,), {})

    pytest.importorskip("PIL", reason="images are written with Pillow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image, "ImageModel", Draws)
    monkeypatch.setattr("sys.stdin", io.StringIO("a fox\n\na hare\n"))
    line = ["-i", "diffusion-plain", "-m", str(tmp_path), "-a", "flux"]
    assert program.mistralrs_server(line) == 0
    assert capsys.readouterr().out == "image-1.png\nimage-2.png\n"
    assert (tmp_path / "image-2.png").is_file()
