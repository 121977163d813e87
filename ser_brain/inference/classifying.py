"""Methods of every recognizer, for batches, files and recordings."""

from types import SimpleNamespace

import torch

from ser_brain.bars import passing_bar
from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.errors import InputError
from ser_brain.inference.checks import check_finite, check_length, check_values
from ser_brain.inference.listening import listen
from ser_brain.inference.reading import (
    Faults,
    batches_in_order,
    check_options,
    header_samples,
    in_order,
    padded_batches,
    windows,
)
from ser_brain.inference.records import records_of
from ser_brain.inference.warning_rules import log_sound, sound_warnings


class Recognizer:
    """Classify waveforms; a subclass computes the posteriors.

    It has ``classes`` (names in the order of the posteriors), ``device``,
    ``shortest`` (samples at 16 kHz of the shortest possible clip) and
    ``posteriors(wavs, wav_lens)``.
    """

    def classify_batch(self, wavs, wav_lens=None):
        """Compute posteriors and labels of a padded batch.

        An utterance's posteriors do not depend on its batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Mono waveforms at 16 kHz in [-1, 1], shape (batch, samples), or
            one of shape (samples,).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,); without it nothing
            is padding.

        Returns
        -------
        posteriors : torch.Tensor
            Probability of each class, shape (batch, classes).
        score : torch.Tensor
            Probability of the most likely class, shape (batch,).
        index : torch.Tensor
            The index of that class, shape (batch,).
        label : list of str
            The name of that class, one per utterance.

        Raises
        ------
        ValueError
            If an utterance is shorter than one frame (25 ms).
        InputError
            If a posterior is not finite, for example because of damaged
            weights.
        """
        names = [f"utterance {n}" for n, _ in enumerate(torch.atleast_2d(wavs))]
        return self._classify(names, wavs, wav_lens)

    @torch.no_grad()
    def _classify(self, names, wavs, wav_lens=None):
        """As `classify_batch`, with names for error messages."""
        wavs = torch.atleast_2d(wavs).to(self.device, torch.float32)
        wav_lens = None if wav_lens is None else wav_lens.to(self.device)
        posteriors = self.posteriors(wavs, wav_lens)
        check_finite(names, posteriors)
        score, index = posteriors.max(dim=-1)
        label = [self.classes[position] for position in index.tolist()]
        return posteriors, score, index, label

    def classify_file(self, path):
        """Compute posteriors and label of an audio file.

        Arguments
        ---------
        path : str or pathlib.Path
            Anything soundfile opens, at any sample rate, with any number of
            channels.

        Returns
        -------
        tuple
            As :meth:`classify_batch` for a batch of one.

        Raises
        ------
        InputError
            If the file is missing, is not audio, is shorter than one frame (25
            ms), or holds NaN or infinity.
        """
        wav = read_audio(path)
        check_length(path, len(wav), self.shortest)
        check_values(path, wav)
        log_sound(path, sound_warnings(wav))
        return self._classify([path], wav)

    def classify_files(
        self, paths, batch_seconds=None, num_workers=None, skip_bad=False
    ):
        """Compute labels and posteriors of many audio files, in batches.

        Files of similar length are padded to batches, which are decoded when
        they are needed. The results are those of :meth:`classify_file`,
        whatever the batches. A progress bar is shown on a terminal.

        Arguments
        ---------
        paths : list of str or pathlib.Path
            Anything soundfile opens, each at any sample rate, with any
            number of channels.
        batch_seconds : float, optional
            Maximum padded audio per batch; a longer file is its own batch. By
            default 15 s on a CPU, 120 s on a GPU.
        num_workers : int, optional
            Processes that decode ahead. By default none on a CPU, and on a GPU
            one per core, at most 8.
        skip_bad : bool
            Continue with the other files if one is bad.

        Returns
        -------
        list of dict
            One record per file, in the given order: ``file`` (the path as
            str), ``label``, ``score`` (its probability), ``duration`` (in
            seconds), ``posteriors`` (probability by class name) and
            ``warnings``, a list of ``silent`` or ``quiet``, about the
            recording, and ``unsure``, about the answer
            (:mod:`ser_brain.inference.warning_rules`). Those about the
            recording are also logged. With ``skip_bad`` a bad file's record
            has ``file`` and ``error``.

        Raises
        ------
        InputError
            If a file is missing, is not audio, is shorter than one frame (25
            ms), or holds NaN or infinity, unless ``skip_bad``; if a
            batch does not fit the GPU's memory; if an option is out of its
            range.

        Example
        -------
        >>> import numpy, soundfile
        >>> from ser_brain.assets import folder
        >>> from ser_brain.inference import EmotionRecognizer
        >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
        >>> from ser_brain.nnet.heads import UtteranceHead
        >>> encoder = Wav2Vec2(folder("nano_wav2vec2"))
        >>> head = UtteranceHead(encoder.dim, 2)
        >>> recognizer = EmotionRecognizer(encoder, head, ["calm", "sad"])
        >>> paths = [getfixture("tmp_path") / f"{name}.wav" for name in "ab"]
        >>> soundfile.write(paths[0], numpy.zeros(44100), 44100)
        >>> soundfile.write(paths[1], numpy.zeros(4000), 8000)
        >>> records = recognizer.classify_files(paths)
        >>> [record["duration"] for record in records]
        [1.0, 0.5]
        >>> list(records[0]["posteriors"]), records[0]["warnings"][0]
        (['calm', 'sad'], 'silent')
        """
        options = batch_seconds, num_workers, skip_bad
        records = list(self.stream_files(paths, *options))
        for record in records:
            log_sound(record["file"], record.get("warnings", ()))
        return records

    def stream_files(
        self, paths, batch_seconds=None, num_workers=None, skip_bad=False
    ):
        """Yield the records of :meth:`classify_files` as they are computed.

        They come in the given order. Batches are made of files that are near
        each other in it, so that the first records do not wait for the last
        files. The headers of all files are read before anything is computed.

        Arguments
        ---------
        paths, batch_seconds, num_workers, skip_bad
            As for :meth:`classify_files`.

        Yields
        ------
        dict
            As there; nothing is logged.

        Raises
        ------
        InputError
            As there; the records before the batch of a bad file have been
            yielded.
        """
        options = check_options(batch_seconds, num_workers, self.device)
        batch_seconds, num_workers = options
        faults, samples = Faults(skip_bad), {}
        for place, path in enumerate(paths):
            with faults.of(place):
                count = header_samples(path)
                check_length(path, count, self.shortest)
                samples[place] = count
        batches = batches_in_order(samples, batch_seconds)
        answers = self._answers(paths, batches, num_workers, faults)
        with _progress(len(paths)) as progress:
            for record in in_order(answers):
                yield record
                progress.update()

    def _answers(self, paths, batches, num_workers, faults):
        """Yield index and record of each file, batch by batch."""
        yield from faults.told(paths)
        for batch in padded_batches(paths, batches, num_workers, faults):
            yield from self._records(paths, batch, faults)
            yield from faults.told(paths)
        # Of a last batch without a good file.
        yield from faults.told(paths)

    def _records(self, paths, batch, faults):
        """Yield index and record of each good file of a padded batch."""
        batch = self._good(paths, batch, faults)
        places, counts = batch.place.tolist(), batch.samples.tolist()
        if not places:
            return
        names = [paths[place] for place in places]
        try:
            answers = self._classify(names, batch.wavs, batch.wav_lens)
        except torch.OutOfMemoryError as error:
            longest = paths[places[0]]
            raise InputError(
                f"{longest} ({max(counts) / SAMPLE_RATE:.1f} s), in a batch "
                f"of {len(places)}, does not fit the GPU's memory: give "
                "fewer batch_seconds or another device."
            ) from error
        records = records_of(self.classes, answers, batch.wavs, counts)
        for place, record in zip(places, records):
            yield place, {"file": str(paths[place]), **record}

    def _good(self, paths, batch, faults):
        """Return the batch without files with bad samples."""
        rows = []
        for row, place in enumerate(batch.place.tolist()):
            count = int(batch.samples[row])
            with faults.of(place):
                check_length(paths[place], count, self.shortest)
                check_values(paths[place], batch.wavs[row, :count])
                rows.append(row)
        if len(rows) == len(batch.place):
            return batch
        parts = vars(batch).items()
        return SimpleNamespace(**{name: part[rows] for name, part in parts})

    def timeline(self, path, window=4.0, hop=2.0, turns=None, progress=True):
        """Compute posteriors over the speech of a recording of any length.

        The file is read twice, block by block: once to find its speech, once
        to classify it, so that memory does not grow with its length.

        Arguments
        ---------
        path : str or pathlib.Path
            Anything soundfile opens, at any sample rate, with any number of
            channels.
        window : float
            Seconds of speech that are classified together. Windows do not
            cross pauses of 0.5 s or more, or speakers' turns.
        hop : float
            Seconds from one window to the next.
        turns : str, pathlib.Path or list of Turn, optional
            An RTTM file with the speakers' turns, or the result of
            ``ser_brain.recordings.read_turns``.
        progress : bool
            Show a bar on a terminal.

        Returns
        -------
        ser_brain.recordings.Timeline
            The timeline with ``segments``, ``times``, ``posteriors`` and text
            formats.

        Raises
        ------
        InputError
            If a file is missing or malformed, or an option out of its range.

        Example
        -------
        >>> import soundfile
        >>> from ser_brain.assets import folder
        >>> from ser_brain.inference import EmotionRecognizer
        >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
        >>> from ser_brain.nnet.heads import UtteranceHead
        >>> encoder = Wav2Vec2(folder("nano_wav2vec2"))
        >>> head = UtteranceHead(encoder.dim, 2)
        >>> recognizer = EmotionRecognizer(encoder, head, ["calm", "sad"])
        >>> path = getfixture("tmp_path") / "silence.wav"
        >>> soundfile.write(path, torch.zeros(32000).numpy(), 16000)
        >>> timeline = recognizer.timeline(path)
        >>> timeline.duration, timeline.segments
        (2.0, [])
        """
        return listen(self, path, window, hop, turns, progress)


def by_windows(answer, wavs, samples, longest):
    """Compute posteriors of utterances that may need several windows.

    Arguments
    ---------
    answer : callable
        From waveforms (1, samples) to posteriors (1, classes).
    wavs : torch.Tensor
        Padded waveforms, shape (batch, samples).
    samples : torch.Tensor
        Samples of each utterance, shape (batch,).
    longest : int
        Maximum samples per window.

    Returns
    -------
    torch.Tensor
        Shape (batch, classes): the mean over each utterance's windows,
        weighted by their lengths.
    """
    rows = []
    for wav, count in zip(wavs, samples.tolist()):
        parts = [wav[part] for part in windows(count, longest)]
        shares = [len(part) / count for part in parts]
        found = [answer(part[None])[0] for part in parts]
        rows.append(sum(share * one for share, one in zip(shares, found)))
    return torch.stack(rows)


def _progress(files):
    """A progress bar on a terminal, unless the work is short."""
    return passing_bar(total=files, desc="predict", unit="file", delay=1)
