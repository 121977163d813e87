"""Lengths of the clips of a padded batch."""

import torch


def sample_counts(wavs, wav_lens):
    """Number of samples per clip, from SpeechBrain's relative lengths.

    Arguments
    ---------
    wavs : torch.Tensor
        Padded waveforms, shape (batch, samples).
    wav_lens : torch.Tensor or None
        Relative lengths in (0, 1], shape (batch,); None: nothing is padded.

    Returns
    -------
    torch.Tensor
        Integer lengths, shape (batch,).

    Example
    -------
    >>> sample_counts(torch.zeros(2, 1000), torch.tensor([1.0, 0.5]))
    tensor([1000,  500])
    """
    if wav_lens is None:
        return torch.full((len(wavs),), wavs.shape[1], device=wavs.device)
    return (wav_lens * wavs.shape[1]).round().long()


def valid_frames(lengths, frames):
    """Mark the frames (or samples) of a padded batch that belong to a clip.

    Arguments
    ---------
    lengths : torch.Tensor
        Valid frames of each clip, integers, shape (batch,).
    frames : int
        Frames of the padded batch.

    Returns
    -------
    torch.Tensor
        Bool, shape (batch, frames), True inside each clip.

    Example
    -------
    >>> valid_frames(torch.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
