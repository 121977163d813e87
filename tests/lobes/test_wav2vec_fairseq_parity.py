"""wav2vec 1.0 beside fairseq's own, where fairseq can be imported."""

import fairseq_reference as reference
import pytest
import torch

from ser_brain.lobes.wav2vec import Wav2Vec

try:
    from fairseq.models.wav2vec.wav2vec import Wav2VecConfig, Wav2VecModel
except ImportError as error:
    pytest.skip(
        f"parity needs the extra 'fairseq' ({error})", allow_module_level=True
    )

WIDE = "[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3"
FULL_SIZE = {
    "large": {
        "conv_feature_layers": WIDE + " + [(512, 1, 1)] * 2",
        "conv_aggregator_layers": str([(512, k, 1) for k in range(2, 14)]),
    },
    "base": {
        "conv_feature_layers": WIDE,
        "conv_aggregator_layers": "[(512, 3, 1)] * 9",
    },
}


def _theirs(options):
    torch.manual_seed(0)
    known = {
        name: value
        for name, value in options.items()
        if name in Wav2VecConfig.__dataclass_fields__
    }
    model = Wav2VecModel(Wav2VecConfig(**known, infonce=False)).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            # Off 1 and 0, so that a norm's or bias' mix-up would show.
            torch.nn.init.normal_(parameter, float("weight" in name), 0.2)
    return model


@torch.no_grad()
def _check(tmp_path, options, new_style=False):
    theirs = _theirs(options)
    path = reference.write_checkpoint(
        tmp_path / "w.pt", options, theirs.state_dict(), new_style
    )
    ours = Wav2Vec(path).eval()
    for samples in (465, 2000, 16000):
        wav = torch.randn(1, samples) * 0.1
        z = theirs.feature_extractor(wav)
        c = theirs.feature_aggregator(z)
        for found, golden in (
            (ours.features(wav).transpose(1, 2), z),
            (ours(wav).transpose(1, 2), c),
        ):
            print(f"{samples}: {(found - golden).abs().max():.1e}")
            torch.testing.assert_close(found, golden, atol=1e-5, rtol=0)


@pytest.mark.parametrize("project_features", ["none", "same", "new"])
@pytest.mark.parametrize("variant", list(reference.VARIANTS))
def test_options(tmp_path, variant, project_features):
    options = reference.options_of(variant)
    _check(tmp_path, {**options, "project_features": project_features})


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("architecture", ["large", "base"])
@pytest.mark.parametrize(
    "option",
    [
        "skip_connections_feat",
        "skip_connections_agg",
        "log_compression",
        "agg_zero_pad",
        "no_conv_bias",
        "non_affine_group_norm",
    ],
)
def test_each_flag(tmp_path, architecture, option, value):
    options = {**reference.options_of(architecture), option: value}
    _check(tmp_path, options, new_style=True)


@pytest.mark.parametrize("architecture", ["large", "base"])
def test_full_size(tmp_path, architecture):
    options = reference.options_of(architecture)
    _check(tmp_path, {**options, **FULL_SIZE[architecture]})
