"""A small wav2vec 2.0 that learns what Whisper's encoder makes of speech.

Used by ``make_nano.py distil``. The student hears a crop with noise added, the
teacher hears it clean. Three losses are summed:

- frames: a linear head for each taught layer predicts the teacher's frames
  (L1 and cosine distance of standardised features);
- utterances: a linear head predicts mean and deviation over time of the
  teacher's frames from those of the student's, which is what a probe of an
  utterance reads, and a small part of what frames differ in;
- contrastive: wav2vec 2.0's own objective, over the crops of the batch that
  are masked, so that the quantizer works and TAPT can go on from it.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives
from ser_brain.nnet.lengths import sample_counts, valid_frames
from ser_brain.nnet.pooling import StatisticsPooling

# wav2vec2-base made narrow: the same strides, kernels, norms and frame rate.
STUDENT = dict(
    conv_dim=(48, 96, 128, 160, 192, 192, 192),
    hidden_size=256,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=1024,
    num_conv_pos_embeddings=64,
    num_conv_pos_embedding_groups=16,
    num_codevectors_per_group=64,
    num_codevector_groups=2,
    codevector_dim=64,
    proj_codevector_dim=64,
    hidden_dropout=0.0,
    attention_dropout=0.0,
    activation_dropout=0.0,
    feat_proj_dropout=0.0,
    feat_quantizer_dropout=0.0,
    layerdrop=0.0,
    mask_time_prob=0.05,
    mask_time_length=10,
)
TAUGHT = (2, 3, 4)
# Share of each batch's crops that are masked.
MASKED = 0.25


class Standardizer(nn.Module):
    """Zero mean and unit variance of each feature, measured once."""

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def measure(self, rows, dims):
        """Takes the statistics of rows over some of their dimensions."""
        self.mean.copy_(rows.mean(dims, keepdim=True))
        self.std.copy_(rows.std(dims, keepdim=True).clamp(min=1e-4))

    def forward(self, x):
        return (x - self.mean) / self.std


class Distillation(nn.Module):
    """Student, its heads, and the statistics of the teacher's features.

    Arguments
    ---------
    source : str or Path
        The student: a wav2vec 2.0 with its quantizer.
    teacher_dim : int
        Features of a teacher's frame.
    contrastive_weight, utterance_weight : float
        Weights of the two losses beside that of the frames.
    """

    def __init__(
        self, source, teacher_dim, contrastive_weight=0.1, utterance_weight=1.0
    ):
        super().__init__()
        self.objective = Wav2Vec2Pretraining(source)
        dim = self.objective.encoder.dim
        layers = len(TAUGHT)
        self.pooling = StatisticsPooling()
        self.frame_heads = nn.Linear(dim, layers * teacher_dim)
        self.utterance_head = nn.Linear(2 * dim, layers * 2 * teacher_dim)
        self.frame_scale = Standardizer((layers, 1, 1, teacher_dim))
        self.utterance_scale = Standardizer((layers, 1, 2 * teacher_dim))
        self.contrastive_weight = contrastive_weight
        self.utterance_weight = utterance_weight

    def statistics(self, frames, lengths):
        """Mean and deviation over time of each layer's frames."""
        return torch.stack([self.pooling(layer, lengths) for layer in frames])

    def measure(self, examples):
        """Statistics of the teacher's features, from some batches of them.

        Arguments
        ---------
        examples : list of tuple
            Frames (layers, batch, frames, dim) and their lengths (batch,).
        """
        frames = torch.cat(
            [
                taught[:, valid_frames(lengths, taught.shape[2])]
                for taught, lengths in examples
            ],
            dim=1,
        )
        self.frame_scale.measure(frames[:, None], (1, 2))
        pooled = torch.cat([self.statistics(*one) for one in examples], dim=1)
        self.utterance_scale.measure(pooled, 1)

    def forward(self, wavs, wav_lens, taught, generator):
        """The loss of a batch, and its details.

        Arguments
        ---------
        wavs : torch.Tensor
            What the student hears, shape (batch, samples).
        wav_lens : torch.Tensor
            Relative lengths, shape (batch,).
        taught : torch.Tensor
            The teacher's frames, shape (layers, batch, frames, dim).
        generator : torch.Generator
            Draws masks and negatives.
        """
        objective = self.objective
        lengths = objective.frame_lengths(sample_counts(wavs, wav_lens))
        masked = round(MASKED * len(wavs))
        time_mask = objective.draw_mask(lengths, generator)
        time_mask[masked:] = False
        negatives = draw_negatives(
            time_mask, objective.num_negatives, generator
        )
        states, quantized = objective.states(wavs, wav_lens, time_mask)
        contrastive, details = objective.loss(
            states, quantized, time_mask, negatives
        )
        frames = states.shape[1]
        taught = taught[:, :, :frames]
        valid = valid_frames(lengths, frames)
        frame_loss, cosine = self.frame_loss(states, taught, valid)
        utterance_loss = self.utterance_loss(states, taught, lengths)
        contrastive = contrastive / details["masked_frames"]
        loss = (
            frame_loss
            + self.utterance_weight * utterance_loss
            + self.contrastive_weight * contrastive
        )
        return loss, {
            "cosine": cosine.detach(),
            "frames": frame_loss.detach(),
            "utterances": utterance_loss.detach(),
            "contrastive": contrastive.detach(),
            "accuracy": details["accuracy"],
            "perplexity": details["perplexity"],
        }

    def frame_loss(self, states, taught, valid):
        """L1 and cosine distance of standardised frames, and the cosine."""
        wanted = self.frame_scale(taught)[:, valid].float()
        heard = self.frame_heads(states)[valid].float()
        heard = heard.view(len(heard), len(TAUGHT), -1).transpose(0, 1)
        cosine = F.cosine_similarity(heard, wanted, dim=-1).mean()
        return F.l1_loss(heard, wanted) + (1 - cosine), cosine

    def utterance_loss(self, states, taught, lengths):
        """L1 distance of standardised means and deviations over time."""
        wanted = self.utterance_scale(self.statistics(taught, lengths))
        heard = self.utterance_head(self.pooling(states, lengths).float())
        heard = heard.view(len(heard), len(TAUGHT), -1).transpose(0, 1)
        return F.l1_loss(heard, wanted)


def new_student(folder, teacher_dim):
    """The randomly initialised student inside its losses."""
    torch.manual_seed(0)
    model = Wav2Vec2ForPreTraining(Wav2Vec2Config(**STUDENT))
    model.save_pretrained(folder)
    return Distillation(folder, teacher_dim)


@torch.no_grad()
def teach(teacher, wavs, wav_lens):
    """The taught layers of the teacher, fp32, and their frame lengths."""
    lengths = teacher.frame_lengths(sample_counts(wavs, wav_lens))
    layers = teacher.layers(wavs, wav_lens)
    return layers[list(TAUGHT)].float(), lengths
