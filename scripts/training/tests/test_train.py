"""A few steps of every stage of the training: they make a model that loads, and resume."""

from __future__ import annotations

import shutil

import pytest

import mlxvid

torch = pytest.importorskip("torch")

from scripts.training import export, latents, restore, train_dit, train_vae  # noqa: E402


def test_a_few_steps_of_every_stage_make_a_model_that_loads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(latents, "BUCKETS", {"9x64x64": (9, 64, 64, 4), "1x64x64": (1, 64, 64, 2)})
    monkeypatch.setattr(latents, "SHARD", 2)
    monkeypatch.setattr(train_dit, "BUCKETS", latents.BUCKETS)
    monkeypatch.setattr(train_dit, "SHARES", {"9x64x64": 0.7, "1x64x64": 0.3})
    monkeypatch.setattr(train_dit, "TOKENS", 96)
    run = tmp_path / "run"
    train_vae.train(run, 1, batch=2)
    train_vae.train(run, 2, batch=2)  # goes on at step 1
    train_vae.finish_decoder(run, 1, batch=2)
    latents.make_all(run)
    assert len(list((run / "latents").glob("*.npz"))) == 3
    train_dit.train(run, 1)
    train_dit.train(run, 3)
    assert torch.load(run / "dit.pt", weights_only=False)["step"] == 3
    export.export(run, tmp_path / "model")
    clip = mlxvid.load(str(tmp_path / "model")).generate(
        "a red ball", width=64, height=64, frames=9, steps=2, seed=0
    )
    assert clip.frames.shape == (9, 64, 64, 3)

    again = tmp_path / "again"
    restore.restore(tmp_path / "model", again)
    export.export(again, tmp_path / "copy")
    same = mlxvid.load(str(tmp_path / "copy")).generate(
        "a red ball", width=64, height=64, frames=9, steps=2, seed=0
    )
    assert (same.frames == clip.frames).all()
    shutil.copytree(run / "latents", again / "latents")
    train_dit.train(again, 1)
    with pytest.raises(FileExistsError, match="has checkpoints already"):
        restore.restore(tmp_path / "model", again)
