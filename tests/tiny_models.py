"""Tiny random models, written as checkpoints of transformers and ours."""

TINY_WAV2VEC2 = {
    "conv_dim": (16,) * 7,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 32,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
    "feat_extract_norm": "group",
    "do_stable_layer_norm": False,
}
TINY_DATA2VEC = {
    "conv_dim": (16,) * 7,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_pos_kernel_size": 5,
    "num_conv_pos_embeddings": 3,
    "num_conv_pos_embedding_groups": 4,
}
TINY_WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 24,
    "max_source_positions": 60,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "dropout": 0.1,
}
TINY_WAV2VEC = {
    "conv_feature_layers": "[(12, 10, 5), (12, 8, 4)] + [(12, 4, 2)] * 3",
    "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
    "skip_connections_agg": True,
    "log_compression": True,
    "agg_zero_pad": True,
}


def randomize(model):
    """Random weights, norms and biases too, lest a forgotten one goes unseen.

    Gains lie around 1, all else has a scale that keeps activations in range.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            is_gain = "norm" in name and name.endswith("weight")
            fan_in = max(weight[0].numel(), 4)
            if "codevectors" in name:
                fan_in = 1
            weight.copy_(noise / fan_in**0.5 + is_gain)
        for name, statistic in sorted(model.named_buffers()):
            if name.endswith(("running_mean", "running_var")):
                statistic.uniform_(0.5, 2, generator=generator)


def write_wav2vec2(folder, **options):
    """A tiny wav2vec 2.0, quantizer included; answers its folder.

    Takes what differs from a base-like configuration.
    """
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

    config = Wav2Vec2Config(**{**TINY_WAV2VEC2, **options})
    model = Wav2Vec2ForPreTraining(config)
    randomize(model)
    model.save_pretrained(folder)
    return folder


def write_wav2vec(folder):
    """A tiny wav2vec 1.0 in our format; answers its folder."""
    import torch

    from ser_brain.lobes.wav2vec import Wav2Vec

    with torch.random.fork_rng():
        torch.manual_seed(0)
        Wav2Vec.from_options(TINY_WAV2VEC).save_pretrained(folder)
    return folder
