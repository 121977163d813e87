"""Distillation of Whisper's encoder into a small wav2vec 2.0.

Used by ``make_nano.py``. The student has as many layers as the teacher and the
same dimension, so that its hidden states are compared with the teacher's
without an extra head, and its layers start from the teacher's:

1. *front-end*: the CNN, the projection and the positional convolution learn
   the input of the teacher's first layer from the waveform;
2. *distil*: the transformer starts from the teacher's layers, whose
   feed-forward part is reduced to the most important units, and the whole
   student learns every hidden state: frame by frame, and as mean and standard
   deviation over time, which is what a probe of an utterance uses. A part of
   each batch is masked for wav2vec 2.0's own objective, so that TAPT has a
   working quantizer.

The teacher adds positions to its input, which a wav2vec 2.0 cannot know: the
mean over clips at each position is subtracted from its hidden states.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives
from ser_brain.nnet.lengths import sample_counts, valid_frames
from ser_brain.nnet.pooling import StatisticsPooling

# A narrow wav2vec2-base, with norms before the layers as in Whisper.
STUDENT = dict(
    conv_dim=(48, 96, 128, 160, 192, 192, 192),
    conv_bias=True,
    do_stable_layer_norm=True,
    hidden_size=384,
    num_hidden_layers=4,
    num_attention_heads=6,
    intermediate_size=512,
    num_conv_pos_embeddings=32,
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
# Share of each batch's crops that are masked.
MASKED = 0.15

# Names in a layer of Whisper and in one of wav2vec 2.0.
SAME_PARTS = {
    "self_attn_layer_norm": "layer_norm",
    "self_attn.q_proj": "attention.q_proj",
    "self_attn.k_proj": "attention.k_proj",
    "self_attn.v_proj": "attention.v_proj",
    "self_attn.out_proj": "attention.out_proj",
    "final_layer_norm": "final_layer_norm",
}


class Distillation(nn.Module):
    """The student and its losses.

    Arguments
    ---------
    source : str or Path
        The student: a wav2vec 2.0 with its quantizer.
    layers, frames : int
        Hidden states of the teacher, and frames of the longest crop.
    front_end_only : bool
        Whether only the input of the first layer is learned.
    contrastive_weight, utterance_weight : float
        Weights of two losses beside that of the frames.
    """

    def __init__(
        self,
        source,
        layers,
        frames,
        front_end_only=False,
        contrastive_weight=0.1,
        utterance_weight=1.0,
    ):
        super().__init__()
        self.objective = Wav2Vec2Pretraining(source)
        dim = self.objective.encoder.dim
        self.pooling = StatisticsPooling()
        self.front_end_only = front_end_only
        self.contrastive_weight = contrastive_weight
        self.utterance_weight = utterance_weight
        self.register_buffer("centre", torch.zeros(layers, 1, frames, dim))
        self.register_buffer("scale", torch.ones(layers, 1, 1, dim))
        self.register_buffer("pooled_scale", torch.ones(layers, 1, 2 * dim))

    def measure(self, examples):
        """Measure statistics of the teacher's hidden states.

        Arguments
        ---------
        examples : list of tuple
            Hidden states (layers, batch, frames, dim) and their lengths
            (batch,); the longest clip of a batch has as many frames as
            ``frames`` says, or fewer.
        """
        frames = self.centre.shape[2]
        taught = torch.cat(
            [
                F.pad(one, (0, 0, 0, frames - one.shape[2]))
                for one, _ in examples
            ],
            dim=1,
        )
        lengths = torch.cat([lengths for _, lengths in examples])
        valid = valid_frames(lengths, frames)[None, :, :, None]
        taught = taught.masked_fill(~valid, 0)
        count = valid.sum(1, keepdim=True).clamp(min=1)
        self.centre.copy_(taught.sum(1, keepdim=True) / count)
        square = (taught - self.centre).masked_fill(~valid, 0).square()
        variance = square.sum((1, 2), keepdim=True) / valid.sum()
        self.scale.copy_(variance.sqrt().clamp(min=1e-4))
        pooled = self.statistics(self.scaled(taught), lengths)
        self.pooled_scale.copy_(pooled.std(1, keepdim=True).clamp(min=1e-4))

    def scaled(self, taught):
        """The teacher's hidden states without positions, of unit variance."""
        return (taught - self.centre[:, :, : taught.shape[2]]) / self.scale

    def statistics(self, states, lengths):
        """Mean and deviation over time of each layer's hidden states."""
        return torch.stack([self.pooling(layer, lengths) for layer in states])

    def hidden_states(self, wavs, wav_lens, time_mask):
        """The student's hidden states, and its CNN's layer-normed output."""
        encoder = self.objective.encoder
        features, lengths = encoder.conv_features(wavs, wav_lens)
        projected, normed = encoder.model.feature_projection(features)
        if self.front_end_only:
            valid = valid_frames(lengths, projected.shape[1])
            states = [encoder.embed(projected * valid[..., None])]
        else:
            masked = encoder.mask(projected, time_mask)
            keep = [True] * len(encoder.layer_stack)
            states = list(encoder.hidden_states(masked, lengths, keep))
        return torch.stack(states).float(), normed, lengths

    def forward(self, wavs, wav_lens, taught, generator):
        """Compute the loss of a batch, and its details.

        Arguments
        ---------
        wavs : torch.Tensor
            Input of the student, shape (batch, samples).
        wav_lens : torch.Tensor
            Relative lengths, shape (batch,).
        taught : torch.Tensor
            The teacher's hidden states, shape (layers, batch, frames, dim).
        generator : torch.Generator
            Draws masks and negatives.
        """
        counts = self.objective.frame_lengths(sample_counts(wavs, wav_lens))
        time_mask = self.objective.draw_mask(counts, generator)
        masked = 0 if self.front_end_only else round(MASKED * len(wavs))
        time_mask[masked:] = False
        states, normed, lengths = self.hidden_states(wavs, wav_lens, time_mask)
        taught = self.scaled(taught[: len(states), :, : states.shape[2]])
        heard = valid_frames(lengths, states.shape[2]) & ~time_mask
        loss, cosine = frame_loss(states[:, heard], taught[:, heard])
        details = {"cosine": cosine[-1], "frames": loss}
        if not self.front_end_only:
            utterances = self.utterance_loss(states, taught, lengths)
            negatives = draw_negatives(
                time_mask, self.objective.num_negatives, generator
            )
            contrastive, more = self.objective.loss(
                states[-1], normed, time_mask, negatives
            )
            contrastive = contrastive / more["masked_frames"]
            loss = (
                loss
                + self.utterance_weight * utterances
                + self.contrastive_weight * contrastive
            )
            details.update(
                first_cosine=cosine[0],
                utterances=utterances,
                contrastive=contrastive,
                accuracy=more["accuracy"],
                perplexity=more["perplexity"],
            )
        return loss, {key: value.detach() for key, value in details.items()}

    def utterance_loss(self, states, taught, lengths):
        """L1 distance of standardised means and deviations over time."""
        differences = self.statistics(states, lengths) - self.statistics(
            taught, lengths
        )
        return (differences / self.pooled_scale).abs().mean()


def frame_loss(states, taught):
    """L1 and cosine distance, and the cosine of each layer.

    Arguments
    ---------
    states, taught : torch.Tensor
        Shape (layers, frames, dim).
    """
    cosine = F.cosine_similarity(states, taught, dim=-1).mean(1)
    return F.l1_loss(states, taught) + (1 - cosine.mean()), cosine


def new_student(folder):
    """Write a student with random weights."""
    torch.manual_seed(0)
    model = Wav2Vec2ForPreTraining(Wav2Vec2Config(**STUDENT))
    model.save_pretrained(folder)


@torch.no_grad()
def teach(teacher, wavs, wav_lens, front_end_only=False):
    """Hidden states of the teacher in fp32, and their frame lengths."""
    if front_end_only:
        features, lengths = teacher.front_end(wavs, wav_lens)
        return teacher.embed(features)[None].float(), lengths
    lengths = teacher.frame_lengths(sample_counts(wavs, wav_lens))
    return teacher.layers(wavs, wav_lens).float(), lengths


def unit_activity(teacher, batches):
    """Mean and mean magnitude of each feed-forward unit, layer by layer."""
    sums = []

    def listen(number):
        def hook(module, inputs):
            rows = inputs[0].detach().float().flatten(0, -2)
            sums[number].append(torch.stack([rows.mean(0), rows.abs().mean(0)]))

        return hook

    handles = []
    for number, layer in enumerate(teacher.layer_stack):
        sums.append([])
        handles.append(layer.fc2.register_forward_pre_hook(listen(number)))
    for batch in batches:
        teach(teacher, *batch)
    for handle in handles:
        handle.remove()
    return [torch.stack(layer).mean(0) for layer in sums]


@torch.no_grad()
def inherit(student, teacher, batches):
    """Initialise the student's transformer with the teacher's weights.

    Of each feed-forward part, the units are kept whose mean magnitude, times
    the norm of their outgoing weights, is largest; the mean contribution of
    the others is added to the bias.

    Arguments
    ---------
    student : ser_brain.lobes.wav2vec2.Wav2Vec2
    teacher : ser_brain.lobes.whisper.Whisper
    batches : list of tuple
        Waveforms and relative lengths, on which the units are measured.
    """
    activity = unit_activity(teacher, batches)
    pairs = zip(student.layer_stack, teacher.layer_stack)
    for (own, taught), (mean, magnitude) in zip(pairs, activity):
        for source, target in SAME_PARTS.items():
            source = taught.get_submodule(source)
            target = own.get_submodule(target)
            target.weight.copy_(source.weight)
            # Whisper's keys have no bias.
            target.bias.copy_(0 if source.bias is None else source.bias)
        inner = own.feed_forward.intermediate_dense
        outer = own.feed_forward.output_dense
        importance = magnitude * taught.fc2.weight.norm(dim=0)
        kept = importance.topk(len(inner.bias)).indices
        lost = torch.ones_like(mean).index_fill(0, kept, 0) * mean
        inner.weight.copy_(taught.fc1.weight[kept])
        inner.bias.copy_(taught.fc1.bias[kept])
        outer.weight.copy_(taught.fc2.weight[:, kept])
        outer.bias.copy_(taught.fc2.bias + taught.fc2.weight @ lost)
    norm = student.model.encoder.layer_norm
    norm.load_state_dict(teacher.model.layer_norm.state_dict())
