"""What is said in a corpus: its own texts or transcripts, and their states."""

import hashlib
import json
import logging

import torch
from speechbrain.utils.distributed import run_on_main

from ser_brain.bars import passing_bar
from ser_brain.corpora import manifest_key, texts_of
from ser_brain.dataio.audio import RESAMPLER
from ser_brain.dataio.front_end_file import FrontEndFile
from ser_brain.errors import InputError
from ser_brain.experiment.layer_features import FOLDER
from ser_brain.experiment.settings import fingerprint
from ser_brain.files import write_atomically
from ser_brain.lobes.speech_recognizer import load_recognizer
from ser_brain.locks import turn

TRANSCRIPTS = "transcripts"
# About so many characters give a token, for an announcement.
TOKEN = 3

logger = logging.getLogger(__name__)


def corpus_texts(experiment, section):
    """The text of every utterance of the corpus.

    Arguments
    ---------
    experiment : Experiment
        The run.
    section : dict
        The instantiated section: ``asr``, a recogniser's folder or hub name,
        or None for the manifest's own texts.

    Returns
    -------
    dict
        Text by id.

    Raises
    ------
    InputError
        If the manifest lacks texts, or there is no such recogniser.
    """
    source = section["asr"]
    if source is None:
        return texts_of(experiment.manifest, told_source(experiment))
    parts = [
        fingerprint(source),
        RESAMPLER,
        manifest_key(experiment.entries(experiment.manifest)),
    ]
    path = experiment.corpus_folder / TRANSCRIPTS / f"{hashed(parts)}.json"
    run_on_main(transcribe, args=[experiment, source, path])
    return json.loads(path.read_text(encoding="utf-8"))


def told_source(experiment):
    """Source of the clips, for messages: a table or the corpus's folder."""
    return experiment.table or f"{experiment.name} in {experiment.data_folder}"


def hashed(parts):
    """A name for a file that depends on all parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def transcribe(experiment, source, path):
    """Write the transcripts of a corpus, unless they exist.

    Lines of what is done lie beside the file until all is, so that a killed
    process loses one transcript.

    Arguments
    ---------
    experiment : Experiment
        Whose manifest is transcribed.
    source : str
        The recogniser.
    path : Path
        The file to write: JSON, text by id.

    Raises
    ------
    InputError
        If there is no such recogniser.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with turn(path.with_suffix(".lock"), "transcripts"):
        if path.is_file():
            return
        lines = path.with_suffix(".jsonl")
        texts = done_lines(lines)
        missing = [key for key in experiment.manifest if key not in texts]
        device = experiment.run_opts.device
        try:
            recognizer = load_recognizer(source).to(device).eval()
        except (ValueError, OSError) as error:
            raise InputError(" ".join(str(error).split())) from error
        logger.info(f"{len(missing)} clips are transcribed once, to {path}.")
        loader = passing_bar(experiment.loader(missing), "transcripts")
        with lines.open("a", encoding="utf-8") as stream:
            for (utterance,) in loader:
                text = recognizer(utterance.signal)
                texts[utterance.id] = text
                stream.write(json.dumps([utterance.id, text]) + "\n")
                stream.flush()
        write_atomically(path, json.dumps(texts, indent=1, ensure_ascii=False))
        lines.unlink()


def done_lines(path):
    """Texts by id that a killed process left; its file ends with them.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.jsonl"
    >>> _ = path.write_text('["a", "No."]\\n["b", "Y')
    >>> done_lines(path), path.read_text()
    ({'a': 'No.'}, '["a", "No."]\\n')
    """
    if not path.is_file():
        return {}
    texts, whole = {}, []
    # What follows the last end of a line was being written, and what a power
    # cut leaves may be anything.
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for line in lines[:-1]:
        try:
            name, texts[name] = json.loads(line)
        except ValueError:
            break
        whole.append(f"{line}\n")
    write_atomically(path, "".join(whole))
    return texts


def text_features(experiment, section, texts):
    """States of every utterance's tokens, computed once for a corpus.

    Arguments
    ---------
    experiment : Experiment
        The run. The states lie beside the audio encoder's features.
    section : dict
        The instantiated section: ``text_encoder``, layer_features_gb.
    texts : dict
        What ``corpus_texts`` answered.

    Returns
    -------
    callable
        From an utterance's id to its states, fp16, (tokens, dim).

    Raises
    ------
    InputError
        If they do not fit ``layer_features_gb`` or the disk.
    """
    encoder = section["text_encoder"].to(experiment.run_opts.device).eval()
    source = fingerprint(experiment.settings.value("text_encoder"))
    key = hashed([source, json.dumps(texts, sort_keys=True)])
    folder = experiment.corpus_folder / FOLDER
    file = FrontEndFile(folder, key, encoder.dim, setting="layer_features_gb")

    def compute():
        for name, text in texts.items():
            yield name, checked(encoder(text).half().cpu())

    tokens = sum(2 + len(text) // TOKEN for text in texts.values())
    gigabytes = float(section["layer_features_gb"])
    run_on_main(file.ensure, args=[compute, tokens, len(texts), gigabytes])
    features = file.open()
    return lambda name: features(name, lambda: None)


def checked(states):
    """States, if they are finite in fp16."""
    if not bool(torch.isfinite(states).all()):
        raise InputError(
            "the states of the text encoder are not finite in fp16: give "
            "another --text_encoder."
        )
    return states
