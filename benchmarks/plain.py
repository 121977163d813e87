"""Reference implementations of the training steps in plain torch.

Padded batches, the CNN in every step, eager attention and Adam as torch and
transformers give them; nothing is made slower on purpose. What each computes
is the paper's (random weights, layer drop 0, so that all do the same work).
"""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.functional import cross_entropy, nll_loss
from torch.nn.utils.rnn import pad_sequence
from transformers import Wav2Vec2ForPreTraining, Wav2Vec2Model
from transformers.models.wav2vec2.modeling_wav2vec2 import (
    _compute_mask_indices,
    _sample_negative_indices,
)

CLUSTERS = (64, 512, 4096)
DIM = 768


class PlainStep:
    """One update of a padded batch; subclasses define what is computed.

    Arguments
    ---------
    source : Path
        Folder of a wav2vec 2.0 model.
    precision : str
        ``fp32``, or ``bf16`` for torch's autocast.
    n_classes : int
        Emotions.
    device : str
        Where to compute.
    """

    def __init__(self, source, precision="fp32", n_classes=7, device="cpu"):
        self.device = torch.device(device)
        self.autocast = nullcontext()
        if precision == "bf16":
            self.autocast = torch.autocast(self.device.type, torch.bfloat16)
        self.model = self.build(source, n_classes).to(self.device).train()
        learns = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(learns, lr=1e-4)

    def update(self, utterances):
        """Gradients and one step of Adam.

        Arguments
        ---------
        utterances : list of SimpleNamespace
            Each holds ``signal`` (samples,) and ``label``.
        """
        signals = [one.signal for one in utterances]
        lengths = torch.tensor([len(one) for one in signals])
        wavs = pad_sequence(signals, batch_first=True)
        valid = torch.arange(wavs.shape[1]) < lengths[:, None]
        labels = torch.tensor([one.label for one in utterances])
        batch = [one.to(self.device) for one in (wavs, valid.long(), labels)]
        with self.autocast:
            loss = self.loss(*batch)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def frozen_encoder(source, **masks):
    """transformers' model with the CNN and the projection frozen."""
    model = Wav2Vec2Model.from_pretrained(
        source, attn_implementation="eager", layerdrop=0.0, **masks
    )
    model.freeze_feature_encoder()
    model.feature_projection.requires_grad_(False)
    return model


class FineTuning(PlainStep):
    """V-FT: mean over the valid frames, ReLU, one linear layer."""

    def build(self, source, n_classes):
        masks = {
            "mask_time_prob": 0.08,
            "mask_time_length": 15,
            "mask_feature_prob": 0.05,
            "mask_feature_length": 64,
            "mask_feature_min_masks": 1,
        }
        encoder = frozen_encoder(source, **masks)
        head = nn.Linear(encoder.config.hidden_size, n_classes)
        return nn.ModuleDict({"encoder": encoder, "head": head})

    def loss(self, wavs, valid, labels):
        encoder = self.model["encoder"]
        states = encoder(wavs, attention_mask=valid).last_hidden_state
        frames = encoder._get_feature_vector_attention_mask(
            states.shape[1], valid
        )[..., None]
        mean = (states * frames).sum(1) / frames.sum(1)
        return cross_entropy(self.model["head"](mean.relu()), labels)


class ClusterPrediction(PlainStep):
    """P3: pseudo-labels of masked frames, one head per k."""

    def build(self, source, n_classes):
        encoder = frozen_encoder(source)
        heads = [
            nn.Sequential(nn.Linear(DIM, 256), nn.Tanh(), nn.Linear(256, k))
            for k in CLUSTERS
        ]
        return nn.ModuleDict(
            {"encoder": encoder, "heads": nn.ModuleList(heads)}
        )

    def loss(self, wavs, valid, labels):
        encoder = self.model["encoder"]
        lengths = encoder._get_feat_extract_output_lengths(wavs.shape[1])
        frames = encoder._get_feature_vector_attention_mask(int(lengths), valid)
        mask = torch.from_numpy(
            _compute_mask_indices(
                tuple(frames.shape), 0.06, 15, frames, min_masks=2
            )
        ).to(wavs.device)
        states = encoder(
            wavs, attention_mask=valid, mask_time_indices=mask
        ).last_hidden_state[mask]
        return sum(
            cross_entropy(head(states), torch.randint(k, (len(states),)))
            for head, k in zip(self.model["heads"], CLUSTERS)
        )


class ContrastivePretraining(PlainStep):
    """TAPT: transformers' own pretraining loss."""

    def build(self, source, n_classes):
        return Wav2Vec2ForPreTraining.from_pretrained(
            source, attn_implementation="eager", layerdrop=0.0
        )

    def loss(self, wavs, valid, labels):
        encoder = self.model.wav2vec2
        length = int(encoder._get_feat_extract_output_lengths(wavs.shape[1]))
        frames = encoder._get_feature_vector_attention_mask(length, valid)
        mask = _compute_mask_indices(
            tuple(frames.shape), 0.65, 10, attention_mask=frames, min_masks=2
        )
        negatives = _sample_negative_indices(
            tuple(frames.shape), 100, mask_time_indices=mask
        )
        return self.model(
            wavs,
            attention_mask=valid,
            mask_time_indices=torch.from_numpy(mask).to(wavs.device),
            sampled_negative_indices=torch.from_numpy(negatives).to(
                wavs.device
            ),
        ).loss


class SpeechBrainFineTuning(PlainStep):
    """The step of SpeechBrain's IEMOCAP recipe with its wav2vec 2.0 lobe."""

    def build(self, source, n_classes):
        from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
        from speechbrain.nnet.linear import Linear
        from speechbrain.nnet.pooling import StatisticsPooling

        encoder = Wav2Vec2(
            str(source),
            save_path=str(source),
            output_norm=True,
            freeze_feature_extractor=True,
        )
        encoder.model.config.layerdrop = 0.0
        head = Linear(input_size=DIM, n_neurons=n_classes, bias=False)
        pooling = StatisticsPooling(return_std=False)
        parts = {"encoder": encoder, "pooling": pooling, "head": head}
        return nn.ModuleDict(parts)

    def loss(self, wavs, valid, labels):
        lengths = valid.sum(1) / valid.shape[1]
        states = self.model["encoder"](wavs, lengths)
        mean = self.model["pooling"](states, lengths).flatten(1)
        return nll_loss(self.model["head"](mean).log_softmax(-1), labels)


PLAIN = {
    "V-FT": FineTuning,
    "P3": ClusterPrediction,
    "TAPT": ContrastivePretraining,
}
