"""Encoders of texts and recognisers of speech, from tiny random models."""

import json

import pytest
import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from ser_brain.lobes.speech_recognizer import load_recognizer
from ser_brain.lobes.text_encoder import load_text_encoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no", "##body"]
LETTERS = ["<pad>", "<unk>", "|", *"abcdefghijklm"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT with its tokenizer."""
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    tokenizer.model_max_length = 16
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ctc(tmp_path_factory):
    """Folder of a tiny wav2vec 2.0 with CTC."""
    folder = tmp_path_factory.mktemp("ctc")
    config = Wav2Vec2Config(
        conv_dim=(8,) * 7,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        vocab_size=len(LETTERS),
        pad_token_id=0,
    )
    torch.manual_seed(0)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    vocabulary = {letter: place for place, letter in enumerate(LETTERS)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    Wav2Vec2CTCTokenizer(folder / "vocab.json").save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """Folder of a tiny Whisper that writes letters."""
    from tokenizers import Tokenizer, decoders, models

    folder = tmp_path_factory.mktemp("whisper")
    config = WhisperConfig(
        vocab_size=len(LETTERS),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_source_positions=50,
        max_target_positions=20,
        decoder_start_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    model.generation_config.no_timestamps_token_id = None
    model.save_pretrained(folder)
    vocabulary = {letter: place for place, letter in enumerate(LETTERS)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=1).save_pretrained(folder)
    return folder


def test_states_of_a_text_are_the_models(bert):
    encoder = load_text_encoder(bert).eval()
    states = encoder("yes nobody")
    assert states.shape == (5, 16) == (5, encoder.dim)
    tokens = AutoTokenizer.from_pretrained(bert)(
        "yes nobody", return_tensors="pt"
    )
    model = AutoModel.from_pretrained(bert).eval()
    expected = model(**tokens).last_hidden_state[0]
    torch.testing.assert_close(states, expected)


def test_long_texts_are_cut_and_empty_ones_have_states(bert):
    encoder = load_text_encoder(bert)
    assert len(encoder("no " * 99)) == 16
    assert len(encoder("")) == 2


def test_random_weights_are_the_same_everywhere():
    torch.manual_seed(1)
    one = load_text_encoder("random").eval()
    torch.manual_seed(2)
    other = load_text_encoder("random").eval()
    assert torch.equal(one("Yes, no."), other("yes, NO."))
    assert not torch.equal(one("yes"), one("no"))
    assert len(one("")) == 1


def test_other_models_read_no_text(tiny_wav2vec2, whisper):
    for folder in (tiny_wav2vec2, whisper):
        with pytest.raises(ValueError, match="which is no encoder of texts"):
            load_text_encoder(folder)


@pytest.mark.parametrize("kind", ["bert", "ctc"])
def test_a_folder_without_a_tokenizer(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    load = load_text_encoder if kind == "bert" else load_recognizer
    with pytest.raises(ValueError, match="has no tokenizer that can be read"):
        load(tmp_path)


def test_ctc_joins_equal_neighbours(ctc):
    recognizer = load_recognizer(ctc)
    wave = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    text = recognizer(wave)
    inputs = Wav2Vec2FeatureExtractor()(
        wave.numpy(), sampling_rate=16000, return_tensors="pt"
    )
    model = Wav2Vec2ForCTC.from_pretrained(ctc).eval()
    best = model(**inputs).logits[0].argmax(-1)
    kept = torch.unique_consecutive(best).tolist()
    letters = "".join(LETTERS[k] for k in kept if k > 1).replace("|", " ")
    assert text == letters.strip()


def test_a_recogniser_that_writes(whisper):
    recognizer = load_recognizer(whisper)
    assert recognizer.writes
    wave = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    text = recognizer(wave)
    assert isinstance(text, str) and text == recognizer(wave)
    assert set(text) <= set("".join(LETTERS))


def test_a_text_model_hears_nothing(bert):
    with pytest.raises(ValueError, match="which is no speech recogniser"):
        load_recognizer(bert)


def test_random_letters():
    recognizer = load_recognizer("random")
    generator = torch.Generator().manual_seed(0)
    waves = [torch.randn(16000, generator=generator) for _ in range(2)]
    texts = [recognizer(wave) for wave in waves]
    assert texts[0] != texts[1] and texts[0] == recognizer(3 * waves[0])
    assert recognizer(torch.zeros(10)) == ""
