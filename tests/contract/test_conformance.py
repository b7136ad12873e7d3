"""Our own plugins pass the kit, and the kit finds what is wrong with others'."""

from __future__ import annotations

import os
import re
from importlib.metadata import distributions
from types import SimpleNamespace

import pytest
from tramontane.cli.main import main
from tramontane.registry import EVENTS, KINDS, Registry
from tramontane.testing import pytest_plugin

SOURCES = [e for kind in (*KINDS, EVENTS) for e in Registry().entries(kind)]
OURS = sorted({e.dist.name for e in SOURCES if e.dist and e.dist.name.startswith("tramontane-")})
COVERING = {
    "arch": {"bert", "granite", "idefics", "llama"},
    "quant": {"gguf", "gptq"},
    "backend": set[str](),
    "plugin": {"drafts", "lora", "mcp", "samplers"},
}
"""Families that have between them every kind of block, of media and of task, one format of each
kind, and one plugin of each kind that is none of these. The others' kits take fifteen minutes, and
run in `./dev test --full`; the kit of backends runs on changed ones in test_mutated_backends."""
FULL = os.environ.get("TRAMONTANE_FULL") == "1"
CHECKED = []
for name in OURS:
    _, kind, rest = name.split("-", 2)
    if FULL or rest in COVERING.get(kind, (rest,)):
        CHECKED.append(name)


@pytest.fixture
def kit(python, tmp_path):
    """(distribution, path=folder, more options) -> what the kit says of it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(distribution, path, *more):
        quiet = ["-q", "-W", "error", "-p", "no:cacheprovider", "--tb=short"]
        here = ["-c", str(tmp_path / "pytest.ini"), "--rootdir", str(tmp_path)]
        return python("-m", "pytest", *quiet, *here, "--tramontane", distribution, *more, path=path)

    return run


@pytest.mark.parametrize("distribution", CHECKED)
def test_ours_pass(kit, distribution, tmp_path):
    done = kit(distribution, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_distribution_of_ours_was_found():
    installed = {d.name for d in distributions() if re.match("tramontane-[a-z]+-", d.name)}
    assert installed == set(OURS)
    assert {
        f"tramontane-{kind}-{rest}" for kind, some in COVERING.items() for rest in some
    } < installed


def test_the_good_one_passes(kit, mini_dists):
    done = kit("acme-good", mini_dists)
    assert done.returncode == 0, done.stdout + done.stderr


BAD = [
    ("acme-broken", "an_advertised_name_is_offered[samplers:acme_broken]", "ModuleNotFoundError"),
    ("acme-misspelt", "an_advertised_name_is_offered[", "did you mean 'samplers'?"),
    ("acme-wrong-argument", "an_advertised_name_is_offered[", "has no argument 'config'"),
    ("acme-clash-one", "no_other_distribution_offers_the_name[", "'acme-clash-two'"),
    ("acme-too-new", "an_advertised_name_is_offered[", "was written for tramontane-core~=9.0"),
    ("acme-lying", "an_advertised_name_is_offered[samplers:acme_promise]", "does not offer it"),
    ("acme-lying", "an_advertised_name_is_offered[samplers:acme_wrong_record]", "yields Command"),
    ("acme-lying", "an_offered_name_is_advertised[samplers]", "can never be found"),
    ("acme-listener", "an_advertised_name_is_offered[events:token_drawn]", "does not listen"),
    ("acme-careless", "states_the_core_that_it_was_written_for", "accepts any later core"),
    ("acme-careless", "importing_the_plugin_is_light", "put what needs them behind a target"),
    ("acme-careless", "an_offered_name_is_advertised[architectures]", "['careless_alias']"),
    ("acme-careless", "targets_resolve[careless1]", "prepare_misspelt"),
    ("acme-careless", "a_prompt_in_chunks_gives_the_same_logits", "Mismatched elements"),
    ("acme-careless", "a_batch_gives_what_each_gives_alone", "Mismatched elements"),
    (
        "acme-careless",
        "an_unsupported_value_is_refused_by_name[CarelessForCausalLM-hidden_act",
        "DID NOT RAISE",
    ),
    ("acme-careless", "has_one_source_in_each_container", "missing: model.layers.0.mlp.up_proj"),
    ("acme-careless", "every_tensor_reads_as_the_header_says", "a.weight"),
    ("acme-careless", "a_truncated_file_is_a_checkpoint_error", "JSONDecodeError"),
    ("acme-careless", "a_damaged_header_never_raises_anything_else", "Error"),
    ("acme-careless", "probing_is_quick_and_never_raises", "libcareless.so"),
    ("acme-careless", "every_field_sets_an_option[careless_cut]", "do not exist: ['p']"),
    ("acme-careless", "a_step_leaves_sound_candidates[careless_cut]", "leaves nothing"),
    ("acme-careless", "a_forbidden_token_stays_forbidden[careless_greedy]", "revives"),
    ("acme-careless", "what_it_is_given_stays_unchanged[careless_greedy]", "writes into the"),
    ("acme-careless", "the_same_seed_gives_the_same_result[careless_greedy]", "careless_greedy"),
    ("acme-careless", "a_bad_option_is_a_request_error[careless_cut]", "DID NOT RAISE"),
    ("acme-careless", "markers_and_brackets_are_texts", "an empty marker is in every"),
    ("acme-careless", "plain_text_calls_nothing", "An object: "),
    ("acme-careless", "the_example_is_one_call", "JSONDecodeError"),
    ("acme-careless", "no_text_makes_it_raise", "Error"),
    ("acme-careless", "connect_gives_an_async_context_manager", "contextlib.asynccontextmanager"),
    ("acme-careless", "each_tool_can_be_called_by_any_model", "a name has letters, digits"),
    ("acme-careless", "each_tool_has_a_risk", "'none' is not in"),
    ("acme-careless", "help_prints_the_summary", "must return the exit status"),
    ("acme-careless", "the_path_can_be[careless]", "segments of small"),
    ("acme-careless", "what_it_shows_is_there[careless]", "is it in the wheel?"),
    ("acme-careless", "the_file_is_in_the_package", "is it in the wheel?"),
]


@pytest.fixture(scope="module")
def told(python, mini_dists, tmp_path_factory):
    """What the kit says of each bad distribution: its failures by name."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "pytest.ini").write_text("[pytest]\n")
    said = {}
    for distribution in sorted({row[0] for row in BAD}):
        options = ["-q", "-p", "no:cacheprovider", "--tb=short", "-rN", "--rootdir", str(folder)]
        here = ["-c", str(folder / "pytest.ini"), "--tramontane", distribution]
        done = python("-m", "pytest", *options, *here, path=mini_dists)
        assert done.returncode == 1, done.stdout + done.stderr
        said[distribution] = done.stdout
    return said


@pytest.mark.parametrize(("distribution", "check", "message"), BAD)
def test_the_kit_finds_it_and_says_what_is_wrong(told, distribution, check, message):
    reports = re.split(r"^_+ (?=test_|ERROR)", told[distribution], flags=re.MULTILINE)[1:]
    failed = [report for report in reports if report.partition("\n")[0].startswith(f"test_{check}")
              or f"_{check}" in report.partition("\n")[0]]  # fmt: skip
    assert failed, f"{check} passed:\n{told[distribution]}"
    assert any(message in report for report in failed), "\n".join(failed)


def test_a_run_ends_with_what_is_not_proven(told):
    line, files = [line for line in told["acme-careless"].splitlines() if "not proven" in line]
    assert line.startswith("not proven equal to an independent implementation: ")
    assert "CarelessForCausalLM" in line
    assert line.endswith("run with --reference transformers. give the quantizer decode=.")
    assert "CarelessForCausalLM from gguf; run with --reference" in files
    assert "not proven" not in told["acme-lying"]  # nothing to compare


def test_a_distribution_that_is_not_there_or_no_plugin_is_a_usage_error(kit, tmp_path):
    assert "no distribution 'acme-nowhere' is installed" in kit("acme-nowhere", tmp_path).stderr
    assert "pluggy has no entry point in any of tramontane.arch" in kit("pluggy", tmp_path).stderr


REFUSED = [
    (("--reference", "transformers"), "needs --tramontane DIST"),
    (("--tramontane", "tramontane-quant-gguf", "--reference", "transformers"), "no architecture"),
    (
        ("--tramontane", "tramontane-arch-gpt2", "--reference", "transformers:Nothing"),
        "has no model class Nothing; name the one to compare with",
    ),
    (
        ("--tramontane", "tramontane-arch-llama", "--reference", "transformers:LlamaForCausalLM"),
        "which cannot all be that class",
    ),
    (("--tramontane", "tramontane-arch-gpt2", "--reference", "vllm"), "what can be compared with"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[-20:])
def test_a_reference_that_cannot_be_is_a_usage_error(options, message):
    asked = {"--tramontane": None, "--reference": None}
    asked |= dict(zip(options[::2], options[1::2], strict=True))
    config = SimpleNamespace(
        getoption=asked.get, args=[], args_source=None, pluginmanager=pytest.PytestPluginManager()
    )
    with pytest.raises(pytest.UsageError, match=re.escape(message)):
        pytest_plugin.pytest_configure(config)


def test_the_kit_stays_out_of_the_way_without_its_option(python, tmp_path):
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), path=tmp_path)
    assert "1 passed" in done.stdout


def wrong(install, tmp_path, before, after):
    """A family like llama with one thing wrong, installed."""
    main(["new", "architecture", "acmewrong", "--like", "llama", "--into", str(tmp_path)])
    for path in (tmp_path / "acmewrong").rglob("*.py"):
        path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")
    return install(tmp_path / "acmewrong")


def test_a_misspelt_target_is_one_failure_that_names_it(kit, install, tmp_path):
    done = kit("tramontane-arch-acmewrong", wrong(install, tmp_path, ":WEIGHTS", ":WEIGHT"))
    assert done.stdout.count("FAILED") == 1
    assert "the plugin tramontane-arch-acmewrong: AcmewrongForCausalLM: weights=" in done.stdout
    assert "did you mean 'WEIGHTS'?" in done.stdout
    assert "pkgutil" not in done.stdout


def test_a_failure_shows_the_authors_frames_alone(kit, install, tmp_path):
    path = wrong(install, tmp_path, "rope_for(cfg)", "rope_for(cfg.none)")
    said = kit("tramontane-arch-acmewrong", path).stdout
    assert "tramontane_arch_acmewrong/model.py" in said
    assert "AttributeError: 'AcmewrongConfig' object has no attribute 'none'" in said
    assert "random_model.py" not in said


def test_a_nearby_distribution_is_named(kit, tmp_path):
    assert "did you mean 'tramontane-arch-llama'?" in kit("llama", tmp_path).stderr


def test_what_was_compared_and_differs_is_not_called_unproven(kit, install, tmp_path):
    path = wrong(install, tmp_path, "rope_for(cfg)", "None")
    said = kit("tramontane-arch-acmewrong", path, "--reference", "transformers:LlamaForCausalLM")
    assert "and it differs: AcmewrongForCausalLM" in said.stdout
    assert "independent implementation: AcmewrongForCausalLM;" not in said.stdout
