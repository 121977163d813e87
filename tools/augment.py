"""Augmentation of recordings, to imitate more speakers and rooms.

Changes of speed, pitch, band limit and tilt are applied for teacher and
student, at one level; noise only for the student (see ``distil.py``).
"""

import torch
from torchaudio.functional import phase_vocoder, resample

# Resampling by a ratio of small integers has a short kernel.
STEPS = 20
N_FFT = 512
# Root mean square of every waveform.
LEVEL = 0.05


def uniform(low, high, generator):
    """Draw a number between two numbers."""
    draw = float(torch.rand(1, generator=generator))
    return low + (high - low) * draw


def chance(share, generator):
    """Draw True with a given probability."""
    return float(torch.rand(1, generator=generator)) < share


def stretched(wav, rate):
    """Play a waveform ``rate`` times as fast at the same pitch."""
    window = torch.hann_window(N_FFT)
    hop = N_FFT // 4
    spectrum = torch.stft(wav, N_FFT, hop, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * hop, N_FFT // 2 + 1)[:, None]
    spectrum = phase_vocoder(spectrum, rate, advance)
    return torch.istft(spectrum, N_FFT, hop, window=window)


def filtered(wav, generator):
    """Apply a random spectral tilt, and sometimes a telephone's band limit."""
    spectrum = torch.fft.rfft(wav)
    frequency = torch.linspace(0, 8000, len(spectrum))
    octaves = (frequency.clamp(min=100) / 1000).log2()
    decibels = uniform(-3, 3, generator) * octaves
    if chance(0.3, generator):
        top = uniform(3000, 7500, generator)
        decibels = decibels - 40 * ((frequency - top) / 500).clamp(0, 1)
    if chance(0.15, generator):
        bottom = uniform(80, 300, generator)
        decibels = decibels - 30 * ((bottom - frequency) / 100).clamp(0, 1)
    return torch.fft.irfft(spectrum * 10 ** (decibels / 20), n=len(wav))


def leveled(wav):
    """Scale a waveform to the common level."""
    return wav * (LEVEL / wav.square().mean().sqrt().clamp(min=1e-5))


def augmented(wav, generator):
    """Imitate another speaker, pace and microphone.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform at 16 kHz, shape (samples,).
    generator : torch.Generator
        All draws come from it.

    Returns
    -------
    torch.Tensor
        Waveform of another length.
    """
    if chance(0.8, generator):
        # Pitch, formants and pace together, by up to a fifth.
        steps = int(torch.randint(16, 25, (1,), generator=generator))
        if steps != STEPS:
            wav = resample(wav, STEPS, steps)
    if chance(0.4, generator):
        wav = stretched(wav, uniform(0.75, 1.3, generator))
    if chance(0.8, generator):
        wav = filtered(wav, generator)
    return wav


def noisy(wavs, wav_lens, generator):
    """Add white noise of random level to most waveforms of a batch.

    Arguments
    ---------
    wavs : torch.Tensor
        Shape (batch, samples).
    wav_lens : torch.Tensor
        Relative lengths, shape (batch,).
    generator : torch.Generator
        All draws come from it.
    """
    power = wavs.square().mean(1, keepdim=True) / wav_lens[:, None]
    shape = (len(wavs), 1)
    ratio = 5 + 35 * torch.rand(shape, generator=generator)
    heard = torch.rand(shape, generator=generator) < 0.7
    scale = (power / 10 ** (ratio / 10)).sqrt() * heard
    return wavs + scale * torch.randn(wavs.shape, generator=generator)
