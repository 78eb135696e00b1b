"""Whether a process is one of several, by what mlx.launch puts into its environment."""

from __future__ import annotations

import pytest

from mlxvid import machines
from mlxvid.errors import MachinesError
from mlxvid.generate import main

RING = '[["10.0.0.1:32323"], ["10.0.0.2:32324"]]'


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("MLX_RANK", "MLX_HOSTFILE", "MLX_JACCL_COORDINATOR", "MLX_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("hosts", "others", "several"),
    [
        (RING, {}, True),
        ("\n", {}, False),  # what mlx.launch writes for one machine
        (None, {}, False),
        (None, {"MLX_JACCL_COORDINATOR": "10.0.0.1:32323"}, True),
        (None, {"MLX_WORLD_SIZE": "2"}, True),
        (None, {"MLX_WORLD_SIZE": "1"}, False),
    ],
)
def test_what_mlx_launch_has_started(tmp_path, monkeypatch, hosts, others, several):
    monkeypatch.setenv("MLX_RANK", "1")
    if hosts is not None:
        (tmp_path / "hosts").write_text(hosts)
        monkeypatch.setenv("MLX_HOSTFILE", str(tmp_path / "hosts"))
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    assert machines.started() == several
    assert machines.is_first() == (not several)
    assert machines.number() == 2


def test_a_process_alone_shares_nothing():
    assert not machines.started()
    assert machines.is_first()
    assert machines.sharing(*machines.WAYS) is None
    assert not machines.joined()
    with pytest.raises(MachinesError) as caught:
        machines.share("guidance")
    assert "mlx.launch" in str(caught.value)


def test_the_flag_is_refused_alone(capsys):
    assert main(["--prompt", "a ball", "--parallel", "guidance", "-o", "x.mp4"]) == 2
    error = capsys.readouterr().err
    assert "--parallel" in error and "mlx.launch" in error
