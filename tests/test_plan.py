"""The command: plans as text and as JSON, geometries by hand, the machine, and bad flags."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from mlxvid import plan as plan_command
from mlxvid.model.machine import GIB

ROOT = Path(__file__).parents[1]
BY_HAND = ["--t-factor", "4", "--s-factor", "8", "--channels", "16"]
ARTICLE = ["--frames", "120", "--width", "512", "--height", "512", *BY_HAND, "--patch", "1x2x2"]
HELP = "python -m mlxvid.plan --help lists the flags."


@pytest.fixture
def command(capsys):
    """Run the command in this process: (exit code, standard output, standard error)."""

    def run(*args: str) -> tuple[int, str, str]:
        code = plan_command.main(list(args))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def facts_of(command):
    """The one JSON object that the command prints with these flags."""

    def read(*args: str) -> dict:
        code, out, err = command(*args, "--json")
        assert (code, err, out.count("\n")) == (0, "", 1)
        return json.loads(out)

    return read


# --- a geometry by hand --------------------------------------------------------------------------


def test_the_article_s_numbers_as_text(command):
    code, out, err = command(*ARTICLE)
    assert (code, err) == (0, "")
    for fact in ("30x64x64", "48x", "tokens       30,720", "943,718,400", "32,378,880", "29.1x"):
        assert fact in out


def test_the_article_s_numbers_as_one_json_object(facts_of):
    facts = facts_of(*ARTICLE)
    assert facts["latent_shape"] == [30, 64, 64]
    assert facts["compression"] == 48.0
    assert facts["tokens"] == 30_720
    assert facts["pairs_full"] == 943_718_400
    assert facts["pairs_spatial"] == 31_457_280
    assert facts["pairs_temporal"] == 921_600
    assert facts["pairs_factored"] == 32_378_880
    assert facts["pairs_ratio"] == pytest.approx(29.146, abs=1e-3)


def test_the_patch_may_be_left_out(facts_of):
    facts = facts_of("--frames", "80", "--width", "256", "--height", "256", *BY_HAND)
    assert facts["latent_shape"] == [20, 32, 32]
    assert facts["patch"] == [1, 2, 2]


def test_causal_by_hand_is_1_and_4k(facts_of):
    args = ["--frames", "33", "--width", "96", "--height", "96", *BY_HAND]
    assert facts_of(*args, "--causal")["latent_shape"] == [9, 12, 12]
    assert facts_of(*args)["latent_shape"] == [8, 12, 12]


def test_seconds_and_fps_by_hand_are_frames(facts_of):
    size = ["--width", "96", "--height", "96", *BY_HAND]
    assert facts_of("--seconds", "2", "--fps", "16", *size)["frames"] == 32


# --- a model -------------------------------------------------------------------------------------


def test_the_plan_of_a_model_prints_everything(command):
    code, out, _ = command("--memory", "16")
    assert code == 0
    labels = [line.split("  ")[0].strip() for line in out.splitlines() if not line.startswith(" ")]
    assert labels == [
        "model",
        "clip",
        "latent",
        "compression",
        "tokens",
        "pairs",
        "ratio",
        "weights",
        "peak memory",
        "machine",
        "fits",
        "evaluations",
        "time",
    ]


def test_the_plan_of_a_model_as_json(facts_of):
    facts = facts_of("--memory", "16")
    assert facts["model"] == "mini"
    assert facts["latent_shape"] == [9, 12, 12]
    assert facts["tokens"] == 324
    assert facts["fits"] is True
    assert facts["machine"]["total"] == 16 * GIB
    assert facts["peak_bytes"] == max(facts["stage_bytes"].values())


def test_the_plan_of_a_local_folder(facts_of, tiny_folder):
    facts = facts_of("--model", str(tiny_folder), "--memory", "16")
    assert facts["model"] == str(tiny_folder)
    assert facts["weights_source"] == "files"
    assert facts["frames"] == 9


def test_a_rounded_plan_prints_what_was_done(command):
    size = ("--frames", "30", "--width", "100", "--height", "90")
    code, out, _ = command(*size, "--memory", "16")
    assert code == 0
    assert out.count("\nnote ") == 2
    for fact in ("30 frames are rounded to 29", "1 + 4k", "100x90 is rounded to 96x96"):
        assert fact in out


def test_a_plan_that_does_not_fit_says_what_would_in_flags(command):
    code, out, _ = command("--model", "wan2.1-t2v-14b", "--memory", "16")
    assert code == 0
    (fits,) = [line for line in out.splitlines() if line.startswith("fits")]
    assert "no; what fits: " in fits
    assert "with --quantize 4" in fits


def test_seconds_are_frames_at_the_model_s_speed_or_the_given_one(facts_of):
    assert facts_of("--seconds", "4")["frames"] == 65
    assert facts_of("--seconds", "4", "--fps", "8")["frames"] == 33


GROWTH = ("--growth", "--frames", "9", "--width", "32", "--height", "32")


def test_growth_is_measured_at_a_quarter_a_half_and_all_of_the_clip(facts_of):
    growth = facts_of(*GROWTH)["growth"]
    assert [row["latent_frames"] for row in growth] == [1, 2, 3]
    for row in growth:
        assert row["pairs"].keys() == row["milliseconds"].keys() == {"factored", "full", "spatial"}


def test_growth_is_printed_as_a_table_below_the_plan(command):
    code, out, err = command(*GROWTH)
    assert (code, err) == (0, "")
    assert "\nfits " in out
    assert "32x32" in out
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in table] == [
        "latent frames",
        "---:",
        "1",
        "2",
        "3",
    ]


def test_growth_of_a_model_with_one_way_of_attention(command):
    code, out, err = command("--model", "wan2.1-t2v-1.3b", "--growth")
    assert (code, out.count("| ")) == (2, 0)
    for fact in ("wan2.1-t2v-1.3b", "--growth", "mini"):
        assert fact in err


# --- bad flags -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "facts"),
    [
        (["--width", "-5"], ("--width", "from 1 to 16384", "'-5'", HELP)),
        (["--frames", "many"], ("--frames", "from 1 to 100000", "'many'", HELP)),
        (["--seconds", "nan"], ("--seconds", "above 0", "'nan'", HELP)),
        (["--frames"], ("--frames", "expected one argument", HELP)),
        (["--frames", "9", "--seconds", "1"], ("--seconds", "--frames", "not allowed", HELP)),
        (["--patch", "1x2"], ("--patch", "1x2x2", "'1x2'", HELP)),
        (["--attention", "all"], ("--attention", "'all'", "factored", HELP)),
        (["--quantize", "3"], ("--quantize", "3", "4", "8", HELP)),
        (["--model", "minni"], ("'minni'", "did you mean mini?", "--list-models")),
        (["--fps", "2000"], ("--fps", "from 0.1 to 1000", "2000")),
        (["--guidance", "101"], ("--guidance", "from 0 to 100", "101")),
        (["--t-factor", "4"], ("--t-factor", "--s-factor", "--channels", "together")),
        (["--causal"], ("--t-factor", "--s-factor", "--channels", "together")),
        (
            [*BY_HAND, "--frames", "8"],
            ("--frames", "--seconds", "--fps", "--width", "--height"),
        ),
        (
            [*ARTICLE, "--model", "mini", "--memory", "8"],
            ("leave out --model, --memory", "geometry"),
        ),
    ],
)
def test_a_bad_flag_is_one_sentence_and_2(command, args, facts):
    code, out, err = command(*args)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith(".\n")
    assert "`" not in err
    for fact in facts:
        assert fact in err


# --- besides plans -------------------------------------------------------------------------------


def test_help_has_examples_and_the_list_has_models(command, capsys):
    with pytest.raises(SystemExit) as caught:
        plan_command.main(["--help"])
    assert caught.value.code == 0
    assert "examples:\n  python -m mlxvid.plan" in capsys.readouterr().out
    assert command("--list-models")[1].startswith("mini ")


def test_device_names_mlx_and_every_kernel(command, facts_of):
    report = facts_of("--device")
    assert report["mlx"] == mx.__version__
    assert report["device"] == str(mx.default_device())
    assert report["exact_float32"] is True
    assert report["kernels"]
    out = command("--device")[1]
    assert "float32      exact\n" in out
    for kernel in report["kernels"]:
        assert kernel["reason"]
        assert isinstance(kernel["on"], bool)
        state = "on" if kernel["on"] else "off"
        assert f"{kernel['name']} {state}: {kernel['reason']}" in out


def python(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_planning_does_not_load_mlx(tmp_path):
    lora = str(tmp_path / "lightning.safetensors")
    mx.save_safetensors(lora, {"x": mx.ones(1)})
    lines = (
        "import sys, mlxvid.plan",
        f"mlxvid.plan.main(['--memory', '16', '--model', 'wan2.1-t2v-14b', '--lora', {lora!r}])",
        "print('mlx.core' in sys.modules)",
    )
    assert python("-c", "\n".join(lines)).stdout.splitlines()[-1] == "False"


def test_the_module_exits_with_the_code():
    done = python("-m", "mlxvid.plan", "--model", "x\ny")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "'x\\ny'" in done.stderr


def test_evaluations_of_a_model(facts_of):
    wan = ["--model", "wan2.1-t2v-1.3b", "--steps", "20"]
    assert facts_of(*wan)["evaluations"] == [40, 40]
    assert facts_of(*wan, "--guidance-stop", "0.5", "--sampler", "heun")["evaluations"] == [59, 59]
    assert facts_of(*wan, "--cache", "easy")["evaluations"] == [10, 40]
    skipping = ("--skip-layers", "9", "--skip-stop", "0.5", "--guidance-method", "cfg-zero")
    assert facts_of(*wan, *skipping)["evaluations"] == [49, 49]


def test_evaluations_of_a_few_step_lora_and_of_a_preset(facts_of, caplog):
    wan = ["--model", "wan2.1-t2v-14b"]
    lora = facts_of(*wan, "--lora", "lightx2v/loras:wan_lightx2v_4step.safetensors")
    assert lora["evaluations"] == [4, 4]
    assert "wan_lightx2v_4step.safetensors was made for few steps" in caplog.text
    usual = facts_of(*wan)["guessed_seconds"]["denoise"]
    assert lora["guessed_seconds"]["denoise"] < usual / 20
    assert facts_of(*wan, "--preset", "fastwan")["evaluations"] == [3, 3]
    assert facts_of(*wan, "--preset", "lightning", "--steps", "6")["evaluations"] == [6, 6]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--model mini --preset fastwan", "--preset"),
        ("--model ltx-video-0.9.1 --skip-layers 9", "--skip-layers"),
        ("--model mini --lora a.safetensors", "--lora"),
        ("--model wan2.1-t2v-14b --cache tea --lora org/wan_4step", "--cache"),
        ("--model wan2.1-flf2v-14b-720p --cache tea", "--cache"),
        ("--model mini --skip-layers nine", "--skip-layers"),
        ("--model wan2.1-t2v-14b --lora gone.safetensors", "gone.safetensors"),
    ],
)
def test_what_its_run_refuses_is_not_planned(command, flags, named):
    code, out, err = command(*flags.split())
    assert (code, out) == (2, "") and named in err


def test_machines_that_share_a_run(command, facts_of):
    shared = facts_of("--memory", "16", "--machines", "3")
    alone = facts_of("--memory", "16")
    held = sum(shared["weights"]["transformer"].values())
    assert shared["machines"] == 3 and shared["sent_bytes"] > 0 == alone["sent_bytes"]
    assert held < sum(alone["weights"]["transformer"].values())
    assert shared["guessed_seconds"]["denoise"] < alone["guessed_seconds"]["denoise"]
    assert "Thunderbolt" in command("--machines", "3")[1]
    assert "a pass of a step" in command("--machines", "2", "--parallel", "guidance")[1]
    for args, told in ((["--machines", "2"], "3 heads"), (["--parallel", "takes"], "--machines")):
        code, _, err = command(*args)
        assert code == 2 and told in err
