"""Recipes with the front-end cache and the precision that one chooses."""

import csv

import pytest
from recipe_runs import run_folder


def finished(run, results, recipe="train_vft", **settings):
    """Posteriors of a run in fp32, and its log."""
    settings = {"precision": "fp32", **settings}
    got = run("IEMOCAP", recipe, results=results, **settings)
    assert got.code == 0, got.err
    folder = run_folder(results, recipe.removeprefix("train_"))
    return (folder / "predictions.csv").read_bytes(), log_of(folder)


def log_of(folder):
    """The content of log.txt."""
    return (folder / "log.txt").read_text()


def posteriors(content):
    rows = list(csv.reader(content.decode().splitlines()))
    return [float(share) for row in rows[1:] for share in row[5:]]


def test_all_runs_of_a_corpus_share_one_file(run, tmp_path):
    off, _ = finished(run, tmp_path / "off", front_end_cache="off")
    memory, _ = finished(run, tmp_path / "memory", front_end_cache="memory")
    results = tmp_path / "disk"
    disk, log = finished(run, results, front_end_cache="disk")

    assert memory == disk
    assert posteriors(disk) == pytest.approx(posteriors(off), abs=1e-3)
    (file,) = results.glob("few/front_end/*.f16")
    assert f"computed once, to {file}" in log
    written = file.stat().st_mtime_ns
    # P3 and P4 have another encoder, but the same CNN.
    for settings in (
        {"fold": "02"},
        {"recipe": "train_ptapt"},
    ):
        fold = settings.get("fold", "03")
        recipe = settings.get("recipe", "train_vft")
        got = run(
            "IEMOCAP",
            recipe,
            results=results,
            front_end_cache="disk",
            fold=fold,
        )
        assert got.code == 0, got.err
        procedure = recipe.removeprefix("train_")
        log = log_of(run_folder(results, procedure, fold=fold))
        assert "computed once" not in log
    assert list(results.glob("few/front_end/*.f16")) == [file]
    assert file.stat().st_mtime_ns == written


def test_fine_tuned_wav2vec_reads_its_extractor_from_the_cache(run, tmp_path):
    (off, _), (memory, _), (disk, log) = (
        finished(run, tmp_path / cache, "train_segments", front_end_cache=cache)
        for cache in ("off", "memory", "disk")
    )
    assert memory == disk
    assert posteriors(disk) == pytest.approx(posteriors(off), abs=1e-3)
    assert "computed once" in log


def test_the_limit_is_told(run, tmp_path):
    got = run(
        "IEMOCAP",
        "train_vft",
        front_end_cache="disk",
        front_end_cache_gb=1e-6,
    )
    assert got.code == 2
    assert "--front_end_cache_gb 1e-06" in got.err
    assert not list(tmp_path.rglob("*.f16"))


def test_augmented_waveforms_are_not_kept(run, tmp_path):
    got = run("SAVEE", "train_vft", variant="augment", front_end_cache="disk")
    assert got.code == 0, got.err
    assert not list(tmp_path.rglob("*.f16"))


def test_fp16_needs_a_gpu(run):
    got = run("SAVEE", "train_vft", precision="fp16", device="cpu")
    assert got.code == 2
    assert "fp16 needs a CUDA GPU" in got.err
    assert len(got.err.splitlines()) == 1


def test_all_procedures_run_in_bf16(run, tmp_path):
    for recipe in ("train_tapt", "train_ptapt"):
        got = run("SAVEE", recipe, precision="bf16", device="cpu")
        assert got.code == 0, got.err
        folder = run_folder(tmp_path / "results", recipe.removeprefix("train_"))
        shares = posteriors((folder / "predictions.csv").read_bytes())
        assert len(shares) == 8 * 4
        assert all(0 <= share <= 1 for share in shares)
