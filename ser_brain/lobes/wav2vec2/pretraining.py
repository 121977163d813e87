"""wav2vec 2.0's own pretraining objective, independent of padding.

SpeechBrain's and transformers' examples draw masks and negatives over the
whole padded batch; here both come from the valid frames of the same clip.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Wav2Vec2ForPreTraining

from ser_brain.lobes.wav2vec2.codebook import perplexity, shared_diversity
from ser_brain.lobes.wav2vec2.encoder import Wav2Vec2, load_for_pretraining
from ser_brain.nnet.lengths import sample_counts
from ser_brain.nnet.masking import span_mask


def draw_negatives(time_mask, num_negatives, generator=None):
    """Draw distractors among the other masked frames of the same clip.

    Arguments
    ---------
    time_mask : torch.Tensor
        Bool, shape (batch, frames), True at masked, valid frames.
    num_negatives : int
        Number of distractors per masked frame. generator : torch.Generator,
    optional
        CPU generator.

    Returns
    -------
    torch.Tensor
        Positions among the clip's masked frames, int64, shape
        (batch, most masked frames of a clip, num_negatives). Never the frame
        itself, unless a clip has only one masked frame.

    Example
    -------
    >>> mask = torch.tensor([[True, False, True, True]])
    >>> negatives = draw_negatives(mask, 5)
    >>> negatives.shape, bool((negatives[0, 1] == 1).any())
    (torch.Size([1, 3, 5]), False)
    """
    counts = time_mask.sum(1).cpu()
    most = int(counts.max())
    draws = torch.rand(len(counts), most, num_negatives, generator=generator)
    others = (counts - 1).clamp(min=1)[:, None, None]
    positions = (draws * others).long()
    itself = torch.arange(most)[None, :, None]
    positions = positions + (positions >= itself)
    return positions.minimum((counts - 1).clamp(min=0)[:, None, None])


class Wav2Vec2Pretraining(nn.Module):
    """Contrastive pretraining for TAPT (Baevski et al. 2020, Eq. 2–4).

    The loss equals transformers' own to the last digit: the sum over masked
    frames of the contrastive cross-entropy, plus the codebook diversity times
    ``diversity_weight`` times the number of masked frames. Divide by
    ``details["masked_frames"]`` for the mean.

    Arguments
    ---------
    source : str, Path or Wav2Vec2ForPreTraining
        Folder or hub name of a pretrained wav2vec 2.0 with its quantizer, or
        transformers' model itself.
    mask_prob : float
        Share of frames in masked spans, before overlaps.
    mask_length : int
        Frames of a span.
    num_negatives : int
        Distractors for each masked frame.
    min_masks : int
        Minimum number of spans per clip.
    diversity_weight : float
        Weight of the codebook's diversity.
    padding_mask : bool
        Whether the transformer sees only a clip's own frames. In the released
        code of the paper it sees the padding.
    quick_dropout : bool
        As for ``Wav2Vec2``.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> objective = Wav2Vec2Pretraining(folder("nano_wav2vec2"))
    >>> wavs = torch.randn(2, 16000)
    >>> loss, details = objective(wavs, torch.tensor([1.0, 0.5]))
    >>> loss.shape, sorted(details)
    (torch.Size([]), ['accuracy', 'contrastive', 'diversity', \
'masked_frames', 'perplexity'])
    """

    def __init__(
        self,
        source,
        mask_prob=0.65,
        mask_length=10,
        num_negatives=100,
        min_masks=2,
        diversity_weight=0.1,
        padding_mask=True,
        quick_dropout=True,
    ):
        super().__init__()
        if not isinstance(source, Wav2Vec2ForPreTraining):
            source = load_for_pretraining(source)
        self.model = source
        self.encoder = Wav2Vec2(
            self.model.wav2vec2,
            freeze_front_end=False,
            quick_dropout=quick_dropout,
        )
        self.mask_settings = (mask_prob, mask_length, min_masks)
        self.num_negatives = num_negatives
        self.diversity_weight = diversity_weight
        self.padding_mask = padding_mask

    def frame_lengths(self, samples):
        """Number of frames for a number of samples (see ``Wav2Vec2``)."""
        return self.encoder.frame_lengths(samples)

    def draw_mask(self, lengths, generator=None):
        """Draw the masked frames, bool, shape (batch, max(lengths))."""
        return span_mask(lengths, *self.mask_settings, generator=generator)

    def set_temperature(self, step, start=2.0, end=0.5, decay=0.999995):
        """Set the Gumbel temperature (Baevski et al. 2020, Sec. 4.2).

        Arguments
        ---------
        step : int
            Updates done so far.
        start, end, decay : float
            ``max(start * decay ** step, end)``.
        """
        self.model.quantizer.temperature = max(start * decay**step, end)

    def draw_noise(self, counts, seeds):
        """Draw the quantizer's Gumbel noise, clip by clip.

        Arguments
        ---------
        counts : list of int
            Masked frames of each clip.
        seeds : list of int
            One seed per clip, so that its noise does not depend on the other
            clips.

        Returns
        -------
        torch.Tensor
            Shape (masked, groups, entries), drawn on the model's device.
        """
        quantizer = self.model.quantizer
        weights = quantizer.weight_proj.weight
        shape = (sum(counts), quantizer.num_groups, quantizer.num_vars)
        noise = weights.new_empty(shape, dtype=torch.float32)
        generator = torch.Generator(weights.device)
        for clip, seed in zip(noise.split(counts), seeds):
            clip.exponential_(generator=generator.manual_seed(seed))
        return -noise.log()

    def code_logits(self, features):
        """Compute logits of each frame's codes, (frames, groups, entries)."""
        quantizer = self.model.quantizer
        logits = quantizer.weight_proj(self.model.dropout_features(features))
        shape = (-1, quantizer.num_groups, quantizer.num_vars)
        return logits.float().view(shape)

    @torch.no_grad()
    def usage(self, wavs, wav_lens, time_mask):
        """Compute the codebook use of masked frames, without gradients.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor
            As in ``forward``.
        time_mask : torch.Tensor
            Bool, shape (batch, frames).

        Returns
        -------
        torch.Tensor
            Probabilities, shape (masked, groups, entries), clip by clip.
        """
        features, _ = self.encoder.conv_features(wavs, wav_lens)
        _, normed = self.model.wav2vec2.feature_projection(features)
        return self.code_logits(normed)[time_mask.flatten()].softmax(-1)

    def quantize(self, features, time_mask, noise=None):
        """Quantize the masked frames.

        Arguments
        ---------
        features : torch.Tensor
            Layer-normed CNN features, shape (batch, frames, conv_dim).
        time_mask : torch.Tensor
            Bool, shape (batch, frames).
        noise : torch.Tensor, optional
            Gumbel noise of the masked frames, as returned by ``draw_noise``;
            drawn from torch's default generator if not given. Needed only in
            training.

        Returns
        -------
        tuple of torch.Tensor
            Projected targets (masked, codevector_dim), the chosen code of
            each group (masked, groups), and the use of the codebook, shape
            (masked, groups, entries).
        """
        quantizer = self.model.quantizer
        groups, entries = quantizer.num_groups, quantizer.num_vars
        logits = self.code_logits(features)
        mask = time_mask.flatten()
        if self.training and noise is None:
            # For every frame, as in transformers.
            noise = -torch.empty_like(logits).exponential_().log()[mask]
        logits = logits[mask]
        if self.training:
            soft = ((logits + noise) / quantizer.temperature).softmax(-1)
            hard = F.one_hot(soft.argmax(-1), entries).to(soft.dtype)
            # The gradient is that of the soft assignment.
            choice = hard - soft.detach() + soft
            usage = logits.softmax(-1)
        else:
            choice = F.one_hot(logits.argmax(-1), entries).to(logits.dtype)
            usage = choice
        codebook = quantizer.codevectors.view(groups, entries, -1)
        vectors = torch.einsum("mge,ged->mgd", choice, codebook).flatten(1)
        return self.model.project_q(vectors), choice.argmax(-1), usage

    def contrast(self, predictions, targets, codes, counts, negatives):
        """Compute the logits of the true target and its distractors.

        Cosine similarities are computed clip by clip between all masked frames
        at once and then selected, so that distractors are never copied.

        Arguments
        ---------
        predictions, targets : torch.Tensor
            Shape (masked, codevector_dim).
        codes : torch.Tensor
            Codes of the targets, shape (masked, groups).
        counts : list of int
            Masked frames of each clip.
        negatives : torch.Tensor
            As ``draw_negatives`` gives them.

        Returns
        -------
        torch.Tensor
            Shape (masked, 1 + negatives); a distractor with the codes of the
            true target is -inf.
        """
        temperature = self.encoder.config.contrastive_logits_temperature
        predictions = F.normalize(predictions.float(), dim=-1)
        targets = F.normalize(targets.float(), dim=-1)
        logits = []
        start = 0
        for row, count in enumerate(counts):
            clip = slice(start, start + count)
            start += count
            similar = predictions[clip] @ targets[clip].T / temperature
            same = (codes[clip, None] == codes[None, clip]).all(-1)
            others = similar.masked_fill(same, float("-inf"))
            logits.append(
                torch.cat(
                    [
                        similar.diagonal()[:, None],
                        others.gather(1, negatives[row, :count]),
                    ],
                    dim=1,
                )
            )
        return torch.cat(logits)

    def states(self, wavs, wav_lens, time_mask, keep=None):
        """Encode waveforms with masked frames.

        Arguments
        ---------
        wavs, wav_lens, keep
            As in ``forward``.
        time_mask : torch.Tensor
            Bool, shape (batch, frames).

        Returns
        -------
        tuple of torch.Tensor
            The transformer's output, shape (batch, frames, dim), and the
            layer-normed CNN features that ``quantize`` takes, shape
            (batch, frames, conv_dim).
        """
        features, lengths = self.encoder.conv_features(wavs, wav_lens)
        projected, normed = self.model.wav2vec2.feature_projection(features)
        if not self.padding_mask:
            lengths = torch.full_like(lengths, projected.shape[1])
        masked = self.encoder.mask(projected, time_mask.to(features.device))
        return self.encoder.transformer(masked, lengths, keep), normed

    def loss(
        self, states, features, time_mask, negatives, noise=None, shares=None
    ):
        """Compute the loss of encoded waveforms.

        Arguments
        ---------
        states, features : torch.Tensor
            As returned by ``states``.
        time_mask, negatives, noise, shares
            As in ``forward``.

        Returns
        -------
        tuple
            As ``forward``.
        """
        counts = time_mask.sum(1).tolist()
        time_mask = time_mask.to(states.device)
        targets, codes, usage = self.quantize(features, time_mask, noise)
        logits = self.contrast(
            self.model.project_hid(states[time_mask]),
            targets,
            codes,
            counts,
            negatives.to(states.device),
        )
        truth = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        contrastive = F.cross_entropy(logits, truth, reduction="sum")
        used = perplexity(usage.mean(0)) if len(usage) else usage.sum()
        if shares is None:
            entries = codes.shape[1] * self.model.quantizer.num_vars
            diversity = (entries - used) / entries * len(logits)
        else:
            diversity = shared_diversity(usage, counts, *shares)
        loss = contrastive + self.diversity_weight * diversity
        details = {
            "contrastive": contrastive,
            "diversity": diversity,
            "accuracy": (logits.argmax(1) == 0).float().mean(),
            "perplexity": used,
            "masked_frames": torch.tensor(float(len(logits))),
        }
        return loss, {key: value.detach() for key, value in details.items()}

    def forward(
        self,
        wavs,
        wav_lens=None,
        time_mask=None,
        negatives=None,
        keep=None,
        noise=None,
        shares=None,
    ):
        """Compute the loss.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,).
        time_mask : torch.Tensor, optional
            Bool, shape (batch, frames); drawn if not given.
        negatives : torch.Tensor, optional
            As ``draw_negatives`` gives them; drawn if not given.
        keep : list of bool, optional
            Transformer layers to run (see ``Wav2Vec2.transformer``).
        noise : torch.Tensor, optional
            The quantizer's Gumbel noise, as ``draw_noise`` gives it; drawn
            if not given.
        shares : tuple of torch.Tensor, optional
            For a part of a larger batch: each clip's share of the batch's
            diversity, as returned by ``diversity_shares``, shapes (batch,
            groups, entries) and (batch,). If not given, the diversity is that
            of these clips alone.

        Returns
        -------
        tuple
            The loss, and a dict of detached scalars: contrastive and
            diversity (both summed over masked frames), accuracy (the true
            target scores best, in [0, 1]), perplexity, masked_frames.
        """
        if time_mask is None:
            samples = sample_counts(wavs, wav_lens)
            time_mask = self.draw_mask(self.frame_lengths(samples).cpu())
        if negatives is None:
            negatives = draw_negatives(time_mask, self.num_negatives)
        states, features = self.states(wavs, wav_lens, time_mask, keep)
        return self.loss(states, features, time_mask, negatives, noise, shares)

    def save_pretrained(self, folder):
        """Write a folder for transformers, this class and ``Wav2Vec2``."""
        self.model.save_pretrained(Path(folder))
