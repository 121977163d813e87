"""Frames to cluster, from P1's encoder or a fine-tuned or adapted one."""

import torch

from ser_brain.bars import passing_bar
from ser_brain.clustering import FrameFile
from ser_brain.dataio.utterances import padded
from ser_brain.experiment.fine_tuned_states import NAME as FINE_TUNED
from ser_brain.inference.classifier import load_classifier
from ser_brain.lobes import load_encoder, load_state_encoder
from ser_brain.lobes.layer_states import LayerStates, layer_at


def states_encoder(experiment, stage):
    """Load the encoder whose frames P2 clusters.

    Arguments
    ---------
    experiment : Experiment
        The run.
    stage : Stage
        P1, an adaptation, or the classifier of a V-FT run.

    Returns
    -------
    torch.nn.Module
        From waveforms to (batch, frames, dim), in evaluation mode, on the
        device.
    """
    if stage.name == "emotion_states":
        encoder = load_state_encoder(stage.folder)
    else:
        encoder = one_layer(experiment, stage)
    return encoder.to(experiment.run_opts.device).eval()


def one_layer(experiment, stage):
    """Select the layer of an encoder that the settings name."""
    if stage.name == FINE_TUNED:
        encoder, _, _ = load_classifier(stage.folder)
    else:
        encoder = load_encoder(stage.folder)
    depth = experiment.settings.get("cluster_depth")
    return LayerStates(encoder, layer_at(depth, len(encoder.layer_stack)))


@torch.no_grad()
def state_frames(experiment, encoder, ids, device):
    """Yield the states of utterances as arrays (frames, dim)."""
    for utterances in passing_bar(experiment.loader(ids), "states"):
        batch = padded(utterances, device)
        output = encoder(batch.wavs, batch.wav_lens)
        yield output[0].float().cpu().numpy()


def write_states(experiment, encoder, folder, ids):
    """Write states to a FrameFile, which may already hold some."""
    file = FrameFile(folder, encoder.dim)
    seconds = sum(experiment.manifest[key]["duration"] for key in ids)
    file.announce(round(seconds * encoder.frame_rate))
    missing = ids[len(file.counts) :]
    if missing:
        device = experiment.run_opts.device
        file.append(state_frames(experiment, encoder, missing, device))
    return file
