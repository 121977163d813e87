"""wav2vec 1.0 below a head: its extractor's output can be cached."""

import fairseq_reference as reference
import pytest
import torch

from ser_brain.lobes.wav2vec.frames import Wav2VecFrames


@pytest.fixture
def encoder(tmp_path):
    """Random weights in the shape of wav2vec_large."""
    options = reference.options_of("large")
    weights = reference.random_weights(options)
    path = reference.write_checkpoint(tmp_path / "w.pt", options, weights)
    return Wav2VecFrames(path).eval()


@torch.no_grad()
def test_a_cached_extractor_gives_the_same_frames(encoder):
    generator = torch.Generator().manual_seed(0)
    wavs = 0.1 * torch.randn(2, 8000, generator=generator)
    lens = torch.tensor([1.0, 0.5])
    features, lengths = encoder.cacheable_features(wavs, lens)
    assert features.shape == (2, int(lengths.max()), encoder.cacheable_dim)
    whole = encoder(wavs, lens)
    assert torch.equal(encoder(wavs, lens, features=features), whole)
    kept, _ = encoder.cacheable_features(wavs[1:, :4000], None)
    alone = encoder(wavs[1:, :4000], features=kept)
    assert torch.allclose(whole[1, : alone.shape[1]], alone[0], atol=1e-5)


@torch.no_grad()
def test_only_the_extractor_is_in_the_cache(encoder):
    before = encoder.front_end_fingerprint()
    next(encoder.wav2vec.aggregator.parameters()).add_(1)
    assert encoder.front_end_fingerprint() == before
    next(encoder.wav2vec.extractor.parameters()).add_(1)
    assert encoder.front_end_fingerprint() != before
