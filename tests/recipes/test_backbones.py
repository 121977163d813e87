"""Every kind of encoder through the recipes, from settings to predictions."""

import csv
import json

import emotion2vec_reference
import pytest
import torch
from recipe_runs import AUDIO, run_folder

from ser_brain.inference import EmotionRecognizer
from ser_brain.lobes import load_encoder
from ser_brain.lobes.emotion2vec import Emotion2Vec
from ser_brain.lobes.registry import ENCODERS, encoder_class

LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
# wav2vec 2.0 with group norm and Whisper have test files of their own.
KINDS = sorted({*ENCODERS} - {"wav2vec2", "whisper"})


@pytest.fixture(scope="module", params=[*KINDS, "wav2vec2, layer norm"])
def tiny(request, make_encoder):
    """Folder of a tiny checkpoint whose layers drop often."""
    kind, _, norm = request.param.partition(", ")
    return make_encoder(kind, layerdrop=0.3, **(LARGE if norm else {}))


def rows(folder):
    """The predictions of a run."""
    with (folder / "predictions.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_v_ft_trains_it_with_and_without_the_cache(run, tmp_path, tiny):
    found = []
    for cache in ("memory", "off"):
        results = tmp_path / cache
        settings = {"precision": "fp32", "micro_batch_seconds": 4}
        got = run(
            "SAVEE",
            "train_vft",
            encoder=tiny,
            results=results,
            front_end_cache=cache,
            **settings,
        )
        assert got.code == 0, got.err
        found.append(run_folder(results, "vft"))
    kept, fresh = map(rows, found)
    recognizer = EmotionRecognizer.from_run(found[0])
    assert type(recognizer.encoder) is encoder_class(tiny)
    for one, other in zip(kept, fresh, strict=True):
        for name in recognizer.classes:
            share = pytest.approx(float(other[name]), abs=1e-3)
            assert float(one[name]) == share
    clip = AUDIO / f"{kept[0]['id'].rsplit('/')[-1]}.flac"
    posteriors = recognizer.classify_file(clip)[0][0]
    for name, share in zip(recognizer.classes, posteriors.tolist()):
        assert share == pytest.approx(float(kept[0][name]), abs=5e-3)


def test_its_layers_feed_the_frozen_recipe(run, tmp_path, tiny):
    got = run("SAVEE", "train_frozen", encoder=tiny)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "frozen")
    done = json.loads((folder / "save/classifier/done.json").read_text())
    assert len(done["layer_weights"]) == 3
    assert sum(done["layer_weights"]) == pytest.approx(1, abs=1e-3)


def test_p_tapt_takes_its_states_and_adapts_it(run, tmp_path, tiny):
    got = run("SAVEE", "train_ptapt", encoder=tiny, states_encoder=tiny)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "ptapt")
    assert len(rows(folder)) == 8
    before = load_encoder(tiny).model.state_dict()
    after = load_encoder(folder / "save/adapted").model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in after if not after[name].equal(before[name])}
    # The front-end is frozen; the layers have learned.
    assert changed and all(name.startswith("encoder.") for name in changed)


def test_emotion2vec_s_published_file_is_an_encoder(run, tmp_path):
    path = tmp_path / "emotion2vec_base.pt"
    torch.save({"model": emotion2vec_reference.tiny_state()}, path)
    for recipe, settings in {
        "train_vft": {},
        "train_frozen": {},
        "train_ptapt": {"states_encoder": path},
    }.items():
        got = run("SAVEE", recipe, encoder=path, **settings)
        assert got.code == 0, got.err
    saved = run_folder(tmp_path / "results", "vft") / "save/classifier/encoder"
    assert type(load_encoder(saved)) is Emotion2Vec
    before = load_encoder(path).model.encoder.alibi_scale
    assert not torch.equal(
        load_encoder(saved).model.encoder.alibi_scale, before
    )


def test_another_checkpoint_as_encoder_is_one_sentence(run, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"model": {"feature_aggregator.bias": torch.ones(1)}}, path)
    got = run("SAVEE", "train_vft", encoder=path)
    assert got.code == 2
    assert f"{path} holds no emotion2vec" in got.err.splitlines()[-1]
