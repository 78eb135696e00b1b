"""What the commands share: complaints of one sentence, values of flags, and how a command ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlxvid.cli import parser as cli
from mlxvid.errors import CancelledError, ModelNotFoundError, SettingError

ROOT = Path(__file__).parents[2]

# --- flags ---------------------------------------------------------------------------------------


def parser() -> cli.Parser:
    made = cli.Parser(prog="x")
    made.add_argument("--prompt")
    made.add_argument("--width")
    made.add_argument("--frames", nargs=1)
    return made


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--wdth", "96"], ("--wdth", "did you mean --width?")),
        (["--fram", "9"], ("--fram", "did you mean --frames?")),  # a shortened flag is none
        (["--wdth=96"], ("no flag --wdth ", "did you mean --width?")),
        (["--zzz"], ("no flag --zzz",)),
        (["a", "ball"], ("'a'", "quotes")),
        (["a ball"], ("'a ball'", "--prompt")),
        (["--width"], ("--width: expected one argument",)),
    ],
)
def test_a_complaint_is_one_sentence_that_says_where_to_look(arguments, facts):
    with pytest.raises(SettingError) as caught:
        parser().parse_args(arguments)
    said = str(caught.value)
    assert said.endswith("; x --help lists the flags.")
    assert "\n" not in said
    for fact in facts:
        assert fact in said


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (cli.whole, "1", 1),
        (cli.side, "16384", 16384),
        (cli.frames, "100000", 100_000),
        (cli.positive, "0.5", 0.5),
        (cli.not_negative, "0", 0),
        (cli.size, "96X64", (96, 64)),
        (cli.size, "96×64", (96, 64)),
        (cli.patch, "1x2x2", (1, 2, 2)),
    ],
)
def test_a_value_of_a_flag_is_taken(parse, text, value):
    flags = cli.Parser(prog="x")
    flags.add_argument("--value", type=parse)
    assert flags.parse_args([f"--value={text}"]).value == value


@pytest.mark.parametrize(
    ("parse", "text", "meaning"),
    [
        (cli.whole, "0", "from 1 to 1000000000"),
        (cli.whole, "1000000001", "from 1 to 1000000000"),
        (cli.gigabytes, "1e300", "GB from 1 to 1000000"),
        (cli.gigabytes, "nan", "GB from 1 to 1000000"),
        (cli.gigabytes, "inf", "GB from 1 to 1000000"),
        (cli.gigabytes, "1e-300", "GB from 1 to 1000000"),
        (cli.gigabytes, "-16", "GB from 1 to 1000000"),
        (cli.side, "16385", "from 1 to 16384"),
        (cli.frames, "many", "from 1 to 100000"),
        (cli.positive, "0", "above 0"),
        (cli.positive, "nan", "above 0"),
        (cli.not_negative, "inf", "from 0 up"),
        (cli.size, "96", "WIDTHxHEIGHT"),
        (cli.size, "96x٣", "WIDTHxHEIGHT"),
        (cli.patch, "1x2", "1x2x2"),
        (cli.patch, "1x0x2", "from 1 to 16384"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(parse, text, meaning):
    flags = cli.Parser(prog="x")
    flags.add_argument("--value", type=parse)
    with pytest.raises(SettingError) as caught:
        flags.parse_args([f"--value={text}"])
    said = str(caught.value)
    assert said.startswith("--value must ")
    assert meaning in said
    assert repr(text) in said


def test_a_number_of_thousands_of_digits_is_refused_and_cut():
    flags = cli.Parser(prog="x")
    flags.add_argument("--patch", type=cli.patch)
    with pytest.raises(SettingError) as caught:
        flags.parse_args(["--patch", "1x1x" + "9" * 5000])
    assert f"'1x1x{'9' * 36}'" in str(caught.value)


@pytest.mark.parametrize("options", [{"type": cli.whole}, {"type": int, "choices": (4, 8)}])
def test_a_long_value_is_repeated_in_part(options):
    flags = cli.Parser(prog="x")
    flags.add_argument("--value", **options)
    with pytest.raises(SettingError, match="--value.*9…") as caught:
        flags.parse_args(["--value", "9" * 400])
    assert len(str(caught.value)) < 200


# --- how a command ends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (ModelNotFoundError("No\nsuch  model."), 2, "No such model.\n"),
        (SettingError("`loras` and `negative_prompt`."), 2, "--lora and --negative-prompt.\n"),
        (CancelledError("Stopped; nothing was written."), 130, "Stopped; nothing was written.\n"),
        (
            MemoryError(),
            2,
            "The memory is full: close other programs, or give smaller pictures or clips.\n",
        ),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
        (KeyboardInterrupt("Stopped; `resume` goes on."), 130, "Stopped; --resume goes on.\n"),
    ],
)
def test_errors_are_one_line_and_a_code(capsys, raised, code, line):
    @cli.run
    def main(argv=None):
        raise raised

    assert main([]) == code
    assert capsys.readouterr() == ("", line)


def test_the_code_of_a_command_is_its_own_or_none():
    assert cli.run(lambda argv=None: 3)() == 3
    assert cli.run(lambda argv=None: None)() == 0


def test_other_errors_are_not_hidden():
    @cli.run
    def main(argv=None):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        main([])


SLEEPING = """
import sys, time
from mlxvid.cli import parser as cli
@cli.run
def main(argv=None):
    print("up", flush=True)
    time.sleep(30)
sys.exit(main())
"""


def test_ctrl_c_is_130():
    command = [sys.executable, "-c", SLEEPING]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "Stopped.\n")
    assert process.returncode == 130


PRINTING = """
import sys
from mlxvid.cli import parser as cli
sys.exit(cli.run(lambda argv=None: print('a clip'))())
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_went_away_is_no_traceback(unbuffered):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", PRINTING],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        timeout=60,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
