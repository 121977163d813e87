"""wav2vec 1.0's own objective, to pretrain a model from scratch."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ser_brain.lobes.wav2vec.encoder import Wav2Vec


class Wav2VecPretraining(nn.Module):
    """Contrastive predictive coding as Schneider et al. (2019, Sec. 2.2).

    From c at frame t, one affine map per step predicts z some frames ahead; a
    logistic classifier distinguishes the true z from others of the same clip.
    As in fairseq the first step skips the frames whose samples overlap those
    of frame t: predicting them would only be copying.

    Arguments
    ---------
    source : str, Path or dict
        As for ``Wav2Vec``; the whole model is trained.
    prediction_steps : int
        Number of steps ahead.
    num_negatives : int
        Number of distractors per frame.

    Example
    -------
    >>> pretraining = Wav2VecPretraining(
    ...     {
    ...         "conv_feature_layers": "[(8,10,5), (8,8,4)] + [(8,4,2)] * 3",
    ...         "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
    ...         "skip_connections_agg": True,
    ...         "log_compression": True,
    ...     }
    ... )
    >>> loss, details = pretraining(torch.randn(2, 16000), torch.ones(2))
    >>> loss.ndim, sorted(details)
    (0, ['accuracy', 'accuracy_first_step'])
    """

    def __init__(self, source, prediction_steps=12, num_negatives=10):
        super().__init__()
        self.wav2vec = Wav2Vec(source, freeze_extractor=False)
        self.num_negatives = num_negatives
        hop, reach = self.wav2vec.hop_and_reach()
        self.offset = math.ceil(reach / hop)
        self.projections = nn.ModuleList(
            nn.Linear(self.wav2vec.dim, self.wav2vec.feature_dim)
            for _ in range(prediction_steps)
        )

    def forward(self, wavs, wav_lens=None, generator=None):
        """Compute the loss of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], (batch,); None: nothing is padded.
        generator : torch.Generator, optional
            CPU generator that draws the negatives.

        Returns
        -------
        loss : torch.Tensor
            Mean binary cross-entropy over steps, frames and candidates,
            scalar. A model that ignores its input reaches 0.30 at best, the
            entropy of one in eleven.
        details : dict
            How often the true frame beats all its negatives:
            ``accuracy_first_step``, and ``accuracy``, the mean over steps
            that have frames; scalars, chance is 1 / (1 + num_negatives).

        Raises
        ------
        ValueError
            If no clip is long enough to predict anything.
        """
        z, lengths = self.wav2vec.features_and_lengths(wavs, wav_lens)
        c = self.wav2vec.aggregate(z, lengths)
        if lengths is None:
            lengths = torch.full((len(z),), z.shape[1], device=z.device)
        if int(lengths.max()) <= self.offset:
            raise ValueError(
                f"the longest clip has {int(lengths.max())} frames, but the "
                f"first prediction is {self.offset} ahead: give longer clips."
            )
        candidates = self._candidates(z, lengths, generator)
        losses, hits = [], []
        for step, projection in enumerate(self.projections):
            ahead = self.offset + step
            predictions = projection(c[:, :-ahead])
            logits = torch.einsum(
                "btd,btnd->btn", predictions, candidates[:, ahead:]
            )
            targets = torch.arange(ahead, z.shape[1], device=z.device)
            logits = logits[targets < lengths[:, None]]
            if len(logits):
                truth = torch.zeros_like(logits)
                truth[:, 0] = 1.0
                losses.append(
                    F.binary_cross_entropy_with_logits(
                        logits, truth, reduction="none"
                    ).flatten()
                )
                best_negative = logits[:, 1:].amax(1)
                hits.append((logits[:, 0] > best_negative).float().mean())
        details = {
            "accuracy_first_step": hits[0],
            "accuracy": torch.stack(hits).mean(),
        }
        return torch.cat(losses).mean(), details

    def _candidates(self, z, lengths, generator):
        """Each frame of z, then its negatives: (batch, frames, 1 + n, dim).

        Negatives are other valid frames of the same clip, uniformly drawn.
        """
        n_batch, n_frames, dim = z.shape
        draws = torch.rand(
            n_batch, n_frames, self.num_negatives, generator=generator
        ).to(z.device)
        frames = torch.arange(n_frames, device=z.device)[:, None]
        others = (lengths - 1)[:, None, None]
        index = (draws * others).long().clamp(max=n_frames - 2)
        index = index + (index >= frames)
        index = torch.cat([frames.expand(n_batch, -1, 1), index], dim=2)
        flat = index.flatten(1)[..., None].expand(-1, -1, dim)
        return z.gather(1, flat).view(n_batch, n_frames, -1, dim)
