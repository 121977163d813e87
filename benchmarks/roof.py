"""Operations per step, and this machine's speed of matrix products."""

import statistics
import time

import torch

# Rows of a micro-batch, and the two widths of a base model's largest layer.
SHAPE = (1536, 768, 3072)


def matrix_rate(dtype, device="cpu", seconds=2.0):
    """Floating-point operations per second of one large matrix product.

    Arguments
    ---------
    dtype : torch.dtype
        float32 or bfloat16.
    device : str
        Where to multiply.
    seconds : float
        How long to repeat it.

    Returns
    -------
    float
        Median over the repeats.
    """
    rows, inner, columns = SHAPE
    left = torch.randn(rows, inner, device=device).to(dtype)
    right = torch.randn(inner, columns, device=device).to(dtype)
    left @ right
    taken, begun = [], time.perf_counter()
    while len(taken) < 3 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        left @ right
        if device != "cpu":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return 2 * rows * inner * columns / statistics.median(taken)


def transformer_work(frames, config):
    """Multiply-adds of the transformer's forward pass over one clip.

    Arguments
    ---------
    frames : int
        Frames of the clip, without padding.
    config : Wav2Vec2Config
        The architecture.

    Returns
    -------
    int
        Linear layers, attention and the positional convolution.
    """
    dim = config.hidden_size
    linear = frames * (4 * dim**2 + 2 * dim * config.intermediate_size)
    attention = 2 * frames**2 * dim
    group = dim // config.num_conv_pos_embedding_groups
    position = frames * dim * group * config.num_conv_pos_embeddings
    return config.num_hidden_layers * (linear + attention) + position


def front_end_work(samples, config):
    """Multiply-adds of the CNN and the projection over one clip.

    Arguments
    ---------
    samples : int
        Samples of the clip at 16 kHz, without padding.
    config : Wav2Vec2Config
        The architecture.

    Returns
    -------
    work : int
        Multiply-adds.
    frames : int
        Frames that come out.
    """
    work, inner, length = 0, 1, samples
    layers = zip(config.conv_dim, config.conv_kernel, config.conv_stride)
    for outer, kernel, stride in layers:
        length = (length - kernel) // stride + 1
        work += length * kernel * inner * outer
        inner = outer
    return work + length * inner * config.hidden_size, length


def step_work(clips, config, front_end_passes):
    """Floating-point operations that an update of unpadded clips needs.

    Arguments
    ---------
    clips : list of int
        Samples of each clip.
    config : Wav2Vec2Config
        The architecture.
    front_end_passes : int
        0 where the CNN's output was there already, 1 where it is frozen, 3
        where it learns.

    Returns
    -------
    float
        A backward pass counts as two forward ones; heads, losses, norms and
        the optimizer are left out.
    """
    total = 0
    for samples in clips:
        front_end, frames = front_end_work(samples, config)
        total += 3 * transformer_work(frames, config)
        total += front_end_passes * front_end
    return 2.0 * total
