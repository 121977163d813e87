"""The yaml files agree with each other and with the paper."""

import re

import pytest
import yaml
from hypothesis import (
    given,
    settings as hypothesis_settings,
    strategies as st,
)
from recipe_runs import ROOT, YAMLS

from ser_brain.errors import InputError
from ser_brain.experiment import outline as outline_module
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.outline import Outline
from ser_brain.experiment.settings import Settings

HPARAMS = ROOT / "hparams"
ADAM = "!name:torch.optim.Adam"
RUN = {"run_folder": "RUN", "n_classes": 4}
SPAN_MASK = {
    "time_prob": 0.08,
    "time_span": 15,
    "min_time_spans": 2,
    "feature_prob": 0.05,
    "feature_span": 64,
    "min_feature_spans": 1,
}


class PlainLoader(yaml.SafeLoader):
    """Reads !new: and the like as the values below them."""


def untagged(loader, suffix, node):
    """A tagged node's value; a tag without one stands for itself."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value or f"!{suffix}"


PlainLoader.add_multi_constructor("!", untagged)


def resolved(method, corpus=None, variant=None, **overrides):
    """All of a method's settings as plain Python values."""
    merged = Settings(HPARAMS / f"{method}.yaml", overrides)
    if corpus:
        merged.apply("corpora", corpus)
    if variant:
        merged.apply("variants", variant)
    merged.apply_overrides(**RUN)
    return yaml.load(merged.resolved(), PlainLoader)


def blocks(method):
    """Top-level settings of a yaml file as text, headings left out."""
    text = (HPARAMS / f"{method}.yaml").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    found = re.split(r"^(?=\w+:)", text, flags=re.MULTILINE)[1:]
    return {block.split(":")[0]: block.strip() for block in found}


@pytest.mark.parametrize("method", ["vft", "tapt", "pseudo"])
def test_shared_settings_are_the_same_text(method):
    ours, others = blocks(method), blocks("ptapt")
    differing = {
        key for key in ours.keys() & others.keys() if ours[key] != others[key]
    }
    # The objective, and which encoder is fine-tuned, are the method. A CNN that
    # TAPT has trained belongs to one run: no other reads its cache from disk.
    own = {
        "vft": {"fine_tuning"},
        "tapt": {"adaptation", "front_end_cache"},
        "pseudo": set(),
    }
    assert differing == own[method]


def test_fine_tuning_differs_in_its_encoder_alone():
    source = re.compile(r"^ +source: .*$", re.MULTILINE)
    texts = [
        source.sub("", blocks(method)["fine_tuning"])
        for method in ("vft", "tapt", "ptapt")
    ]
    assert texts[0] == texts[1] == texts[2]


def test_layers_set_only_what_a_method_has():
    methods = [method for yamls in YAMLS.values() for method in yamls]
    known = {key for method in methods for key in blocks(method)}
    for path in HPARAMS.glob("*/*.yaml"):
        layer = yaml.load(path.read_text(), PlainLoader)
        assert layer.keys() <= known, path


@pytest.mark.parametrize(
    "corpus, epochs, batch_size, fold_by, classes",
    [("iemocap", 15, 64, "session", 4), ("savee", 30, 32, "speaker", 7)],
)
@pytest.mark.parametrize("method", ["vft", "tapt", "ptapt"])
def test_fine_tuning_is_the_papers(
    method, corpus, epochs, batch_size, fold_by, classes
):
    whole = resolved(method, corpus)
    section = whole["fine_tuning"]
    assert section["epochs"] == epochs
    assert section["batch_size"] == batch_size
    assert whole["fold_by"] == fold_by
    assert len(whole["classes"]) == classes
    assert section["opt_class"] == {"lr": 1e-4, "fused": True}
    assert section["lr_schedule"] == {"lr": 1e-4}
    assert section["max_grad_norm"] == float("inf")
    assert section["max_seconds"] == 10
    assert section["test_batch_size"] == 1
    assert section["augment"] is None
    encoder = section["modules"]["encoder"]
    assert encoder["freeze_front_end"] is True
    assert encoder["span_mask"] == SPAN_MASK
    head = section["modules"]["head"]
    assert not head["relu_frames"] and not head["drop_last_frame"]
    assert "hidden" not in head
    source = "facebook/wav2vec2-base" if method == "vft" else "RUN/save/adapted"
    assert encoder["source"] == source


def test_happy_and_excited_are_one_class():
    assert resolved("vft", "iemocap")["classes"] == {
        "angry": ["ang"],
        "happy": ["hap", "exc"],
        "neutral": ["neu"],
        "sad": ["sad"],
    }


def test_contrastive_adaptation_is_the_papers():
    section = resolved("tapt")["adaptation"]
    assert section["steps"] == 20000
    assert section["batch_size"] == 64
    assert section["buckets"] > 1
    assert section["max_seconds"] == 10
    assert section["max_grad_norm"] == float("inf")
    assert section["lr_schedule"] == {"lr": 1e-4, "warm": 100, "flat": 0.05}
    objective = section["modules"]["objective"]
    assert objective == {
        "source": "facebook/wav2vec2-base",
        "mask_prob": 0.65,
        "mask_length": 10,
        "num_negatives": 100,
        "min_masks": 2,
        "diversity_weight": 0.1,
        "padding_mask": True,
        "quick_dropout": True,
    }


@pytest.mark.parametrize("method", ["pseudo", "ptapt"])
def test_emotion_states_are_the_papers(method):
    whole = resolved(method)
    section = whole["emotion_states"]
    assert section["steps"] == 10000
    assert section["batch_size"] == 64
    assert section["valid_fraction"] == 0.1
    assert section["max_seconds"] == float("inf")
    assert section["lr_schedule"] == {"lr": 1e-4, "warm": 0.05, "flat": 0.05}
    modules = section["modules"]
    assert modules["encoder"]["source"] == whole["wav2vec"]
    assert modules["encoder"]["span_mask"] == SPAN_MASK
    # As many as wav2vec 1.0 has: 512.
    dim = [whole["wav2vec"]]
    assert modules["frame_head"] == {"dim": dim, "n_classes": 4, "hidden": 128}
    assert modules["utterance_head"]["hidden"] == 128
    assert modules["utterance_head"]["pooling"] == {"dim": dim, "hidden": 256}
    ensemble = whole["clusters"]["ensemble"]
    assert ensemble["n_clusters"] == [64, 512, 4096]
    assert ensemble["iterations"] == 20


def test_cluster_prediction_is_the_papers():
    section = resolved("ptapt")["adaptation"]
    assert section["steps"] == 20000
    assert section["batch_seconds"] == 250
    assert "batch_size" not in section
    assert section["buckets"] > 1
    assert section["max_seconds"] == 10
    assert (section["mask_prob"], section["mask_length"]) == (0.06, 15)
    assert section["min_masks"] == 2
    assert section["lr_schedule"] == {"lr": 1e-4, "warm": 100, "flat": 0.05}
    modules = section["modules"]
    assert modules["encoder"]["freeze_front_end"] is True
    assert modules["heads"]["hidden"] == 256
    assert modules["heads"]["n_clusters"] == [64, 512, 4096]


@pytest.mark.parametrize("method", ["pseudo", "tapt", "ptapt"])
def test_every_optimizer_is_plain_adam(method):
    text = (HPARAMS / f"{method}.yaml").read_text()
    after = re.findall(r"opt_class: (\S+)\n +(.*)\n +(.*)\n +(\S+)", text)
    assert after
    for kind, first, fused, following in after:
        assert kind == ADAM
        assert first.startswith("lr: !ref <")
        assert fused == "fused: True"
        assert following == "lr_schedule:"


def test_released_code_switches_every_difference():
    tapt = resolved("tapt", variant="released_code")
    objective = tapt["adaptation"]["modules"]["objective"]
    assert (objective["mask_prob"], objective["mask_length"]) == (0.05, 10)
    assert objective["padding_mask"] is False
    for method in ("vft", "tapt", "ptapt"):
        whole = resolved(method, variant="released_code")
        head = whole["fine_tuning"]["modules"]["head"]
        assert head["relu_frames"] and head["drop_last_frame"]
    assert whole["clusters"]["kmeans_share"] == 0.2
    assert resolved("pseudo")["clusters"]["kmeans_share"] == 1


def key_of(section="fine_tuning", **overrides):
    """The key of a section under some overrides."""
    merged = Settings(HPARAMS / "vft.yaml", overrides)
    merged.apply_overrides(**RUN)
    return merged.key(section, "data")


@given(lr=st.floats(1e-6, 1), workers=st.integers(0, 9), hours=st.floats(0, 9))
@hypothesis_settings(deadline=None, max_examples=10)
def test_key_changes_with_what_is_computed_only(lr, workers, hours):
    plain = key_of()
    assert key_of(num_workers=workers, audio_cache_hours=hours) == plain
    assert (key_of(lr=lr) == plain) == (lr == 1e-4)


def test_keys_change_with_the_resampler(monkeypatch):
    outline = Outline(["hparams/vft.yaml", "--scale", "nano"], "SAVEE")
    outline.settings.apply_overrides(**RUN)
    before = outline.key("fine_tuning", [])
    assert outline.key("fine_tuning", []) == before
    monkeypatch.setattr(outline_module, "RESAMPLER", "another")
    assert outline.key("fine_tuning", []) != before


def test_key_follows_the_weights_not_their_place(tmp_path):
    keys = []
    for name, weights in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights)
        keys.append(key_of(encoder=str(folder)))
    assert keys[0] == keys[1] != keys[2]


def test_later_layers_win():
    merged = Settings(HPARAMS / "vft.yaml", {"epochs": 7, "encoder": "w"})
    merged.apply("corpora", "savee")
    merged.apply("scale", "nano")
    merged.apply_overrides(**RUN)
    assert merged.value("epochs") == 7
    assert merged.value("corpus") == "SAVEE"
    assert merged.value("batch_size") == 16
    assert (
        yaml.load(merged.resolved(), PlainLoader)["fine_tuning"]["epochs"] == 7
    )


def test_fold_is_text_as_typed():
    _, _, overrides = parse_arguments(["hparams/vft.yaml", "--fold", "03"])
    assert overrides == {"fold": "03"}


def test_old_names_of_the_encoders_settings_are_taken():
    words = ["--wav2vec2", "w", "--wav2vec2_dim", "3"]
    words += ["--wav2vec2_feature_span", "2"]
    path, _, overrides = parse_arguments(["hparams/vft.yaml", *words])
    expected = {"encoder": "w", "encoder_dim": 3, "encoder_feature_span": 2}
    assert overrides == expected
    assert Settings(path, overrides).get("encoder_dim") == 3


def test_old_names_of_the_states_settings_are_taken():
    words = ["--wav2vec", "w", "--wav2vec_dim", "3"]
    words += ["--wav2vec_feature_span", "2"]
    path, _, overrides = parse_arguments(["hparams/pseudo.yaml", *words])
    expected = {"wav2vec": "w", "states_dim": 3, "states_feature_span": 2}
    assert overrides == expected
    merged = Settings(path, overrides)
    merged.apply_overrides(**RUN)
    section = yaml.load(merged.resolved(), PlainLoader)["emotion_states"]
    assert section["modules"]["encoder"]["source"] == "w"
    assert section["modules"]["frame_head"]["dim"] == 3


def test_the_key_of_p1_follows_its_encoders_content(tmp_path):
    def key(**overrides):
        merged = Settings(HPARAMS / "pseudo.yaml", overrides)
        merged.apply_overrides(**RUN)
        return merged.key("emotion_states")

    folders = {}
    for name, weights in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights)
        folders[name] = str(folder)
    same, other = folders["b"], folders["c"]
    first = key(states_encoder=folders["a"])
    assert first == key(states_encoder=same) == key(wav2vec=same)
    assert first != key(states_encoder=other)
    assert first != key(wav2vec=other)
    # What is not used does not matter.
    assert first == key(states_encoder=same, wav2vec=other)


def test_nothing_is_looked_up_for_an_outline():
    merged = Settings(HPARAMS / "vft.yaml", {"encoder": "no-one/no-model"})
    merged.apply_overrides(**RUN)
    assert len(merged.key("fine_tuning")) == 64
    head = merged.value("fine_tuning")["modules"]["head"]
    assert list(head["dim"]) == ["no-one/no-model"]


def test_a_switch_needs_no_value():
    argv = ["hparams/vft.yaml", "--allow_incomplete"]
    path, _, overrides = parse_arguments(argv)
    assert Settings(path, overrides).get("allow_incomplete") is True


def test_classes_of_the_command_line_replace_the_corpus_own():
    merged = Settings(HPARAMS / "vft.yaml", {"classes": {"sad": ["sad"]}})
    merged.apply("corpora", "iemocap")
    merged.apply_overrides(**RUN)
    assert merged.value("classes") == {"sad": ["sad"]}


def test_a_section_takes_only_what_it_has():
    merged = Settings(HPARAMS / "vft.yaml", {"fine_tuning": {"max_hours": 1}})
    with pytest.raises(InputError, match="max_hours"):
        merged.apply_overrides()


def test_the_numbers_that_the_publications_of_table_5_give():
    fcn = resolved("fcn")["fine_tuning"]["modules"]
    assert fcn["encoder"]["channels"] == [64, 192, 384, 256, 256]
    assert fcn["head"]["pooling"]["scale"] == 0.3
    assert fcn["head"]["dim"] == 256 and not fcn["head"]["relu_pooled"]
    assert resolved("layer_weights")["frozen"]["head"]["fusion"] == "frames"
    text, asr = (
        resolved(name)["frozen"] for name in ("audio_text", "audio_asr")
    )
    assert text["asr"] is None and asr["asr"] == "openai/whisper-base.en"
    differ = {key for key in text if text[key] != asr[key]}
    assert differ == {"asr", "text_encoder"}
