"""Frozen text encoders: any BERT-like model of transformers."""

import zlib
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from ser_brain.lobes.pretrained import load_model, model_type

# The kinds of model in transformers that read a text at once, both ways.
KINDS = (
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
# Name of a source without weights, for tests of the pipeline.
RANDOM = "random"


class TextEncoder(nn.Module):
    """States of a text's tokens, from a pretrained model.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format with its tokenizer, or a hub
        name.

    Raises
    ------
    ValueError
        If it holds another kind of model, or no tokenizer.
    OSError
        If it is not a folder and the hub does not give it.
    """

    def __init__(self, source):
        super().__init__()
        kind = model_type(source)
        if kind not in KINDS:
            *others, last = KINDS
            raise ValueError(
                f"{source} holds a model of type '{kind}', which is no encoder "
                f"of texts: give one of type {', '.join(others)} or {last}."
            )
        self.tokenizer = load_tokenizer(source)
        # Its pooler, which some checkpoints lack, is not used.
        self.model = load_model(
            AutoModel, source, kind, "a text encoder", optional=("pooler",)
        )

    @property
    def dim(self):
        """Number of features per token."""
        return self.model.config.hidden_size

    @property
    def longest(self):
        """Maximum number of tokens of the model; the rest is cut."""
        return min(512, self.tokenizer.model_max_length)

    @torch.no_grad()
    def forward(self, text):
        """States of one text.

        Arguments
        ---------
        text : str
            May be empty: what frames every text is still there.

        Returns
        -------
        torch.Tensor
            The last layer's, shape (tokens, dim).
        """
        tokens = self.tokenizer(
            text,
            truncation=True,
            max_length=self.longest,
            return_tensors="pt",
        )
        device = next(self.model.parameters()).device
        return self.model(**tokens.to(device)).last_hidden_state[0]


class RandomTextEncoder(nn.Module):
    """A small BERT with random weights, the same in every process.

    For trying things out where there are no weights: it tells words apart and
    knows nothing of what they mean. Words are numbered by a checksum.

    Example
    -------
    >>> encoder = RandomTextEncoder().eval()
    >>> encoder("Will you tell me why?").shape
    torch.Size([5, 64])
    """

    words = 4096
    longest = 512

    def __init__(self):
        super().__init__()
        config = BertConfig(
            vocab_size=self.words,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = BertModel(config, add_pooling_layer=False)

    @property
    def dim(self):
        """Number of features per word."""
        return self.model.config.hidden_size

    @torch.no_grad()
    def forward(self, text):
        """States of one text, shape (words, dim); one of a text without."""
        words = text.casefold().split()[: self.longest] or [""]
        numbers = [zlib.crc32(word.encode()) % self.words for word in words]
        device = next(self.model.parameters()).device
        numbers = torch.tensor([numbers], device=device)
        return self.model(input_ids=numbers).last_hidden_state[0]


def load_tokenizer(source):
    """The tokenizer of a model.

    Arguments
    ---------
    source : str or Path
        A local folder, or a hub name.

    Raises
    ------
    ValueError
        If there is none, or it needs code of its own.
    """
    fix = (
        "(tokenizer.json, or the vocabulary with tokenizer_config.json): give "
        "the folder of the whole model."
    )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    # What a folder without one raises differs from kind to kind.
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{source} has no tokenizer that can be read {fix}"
        ) from error
    # Of some kinds transformers makes one that knows no word.
    folder, names = Path(source), tokenizer.vocab_files_names.values()
    if folder.is_dir() and not any((folder / n).is_file() for n in names):
        raise ValueError(f"{source} has no tokenizer that can be read {fix}")
    return tokenizer


def load_text_encoder(source):
    """An encoder of texts.

    Arguments
    ---------
    source : str or Path
        As ``TextEncoder`` takes it, or "random": a small one with random
        weights.

    Returns
    -------
    TextEncoder or RandomTextEncoder

    Example
    -------
    >>> load_text_encoder("random").dim
    64
    """
    if str(source) == RANDOM:
        return RandomTextEncoder()
    return TextEncoder(source)
