"""P1's utterance head, saved with the encoder to measure what P1 learned."""

import json

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from ser_brain.dataio.utterances import padded
from ser_brain.errors import MALFORMED, InputError
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.files import write_atomically
from ser_brain.nnet.heads import UtteranceHead

FILE = "utterance_head.safetensors"


def save_states_head(folder, head):
    """Write the head; its configuration is the file's metadata.

    Arguments
    ---------
    folder : Path
        Result of P1, which holds the encoder.
    head : UtteranceHead
        The head that was trained with it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> save_states_head(folder, UtteranceHead(dim=8, n_classes=4))
    >>> load_states_head(folder).n_classes
    4
    """
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in head.state_dict().items()
    }
    metadata = {"head": json.dumps(head.config())}
    write_atomically(folder / FILE, save(state, metadata))


def load_states_head(folder):
    """Read what ``save_states_head`` wrote.

    Arguments
    ---------
    folder : Path
        Result of P1.

    Returns
    -------
    UtteranceHead
        On the CPU, in evaluation mode.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged.
    """
    path = folder / FILE
    try:
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["head"])
        head = UtteranceHead.from_config(config)
        head.load_state_dict(load_file(path))
    except (OSError, SafetensorError, *MALFORMED) as error:
        raise InputError(
            f"{path} cannot be read ({error}): extract the pseudo-labels again."
        ) from error
    return head.eval()


@torch.no_grad()
def states_accuracy(encoder, head, batches, device="cpu"):
    """Compute the unweighted accuracy of P1's utterance head.

    Arguments
    ---------
    encoder : ser_brain.lobes.state_encoder.StateEncoder
        On the device.
    head : UtteranceHead
        On the device. Both are in evaluation mode afterwards.
    batches : iterable of list
        Whole utterances, as ``Experiment.loader`` yields them.
    device : str
        Device of the computation.

    Returns
    -------
    float
        Mean of the recalls of the classes that occur, in [0, 1].
    """
    encoder.eval()
    head.eval()
    labels, predictions = [], []
    for utterances in batches:
        batch = padded(utterances, device)
        states = encoder(batch.wavs, batch.wav_lens)
        lengths = encoder.frame_lengths(batch.samples)
        predictions += head(states, lengths).argmax(1).tolist()
        labels += batch.label.tolist()
    return unweighted_accuracy(labels, predictions)
