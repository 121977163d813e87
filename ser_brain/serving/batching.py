"""One thread that classifies waiting clips, in batches of similar length."""

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace

import torch

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.dataio.utterances import padded
from ser_brain.inference.reading import batches_by_length, check_options
from ser_brain.inference.records import records_of


@dataclass
class Job:
    """A waveform that waits for its result."""

    signal: torch.Tensor
    future: Future = field(default_factory=Future)


class Batcher:
    """Classify waveforms from any thread in one thread of its own.

    It never waits for a batch to fill: it takes the clips that have arrived
    while it was computing, the oldest first, up to a budget of audio, and
    computes clips of similar length together.

    Arguments
    ---------
    recognizer : ser_brain.inference.EmotionRecognizer
        The model; no other thread may use it meanwhile.
    batch_seconds : float, optional
        Maximum audio per batch, as for ``classify_files``.
    observe : callable, optional
        Called after each batch with its number of clips, the duration of their
        audio and the computing time, both in seconds.

    Raises
    ------
    InputError
        If ``batch_seconds`` is not above 0.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.inference import EmotionRecognizer
    >>> from ser_brain.lobes import load_encoder
    >>> from ser_brain.nnet.heads import UtteranceHead
    >>> encoder = load_encoder(folder("nano_wav2vec2"))
    >>> head = UtteranceHead(encoder.dim, 2)
    >>> recognizer = EmotionRecognizer(encoder, head, ["calm", "sad"])
    >>> batcher = Batcher(recognizer)
    >>> future = batcher.submit(torch.randn(16000))
    >>> future.result()["duration"]
    1.0
    >>> batcher.close()
    """

    def __init__(self, recognizer, batch_seconds=None, observe=None):
        self.recognizer = recognizer
        self.seconds, _ = check_options(batch_seconds, 0, recognizer.device)
        self.observe = observe or (lambda *measured: None)
        self._waiting = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(
            target=self._work, name="inference", daemon=True
        )
        self._thread.start()

    def submit(self, signal):
        """Submit a waveform for classification.

        Arguments
        ---------
        signal : torch.Tensor
            Mono waveform at 16 kHz, shape (samples,), of at least one frame.

        Returns
        -------
        concurrent.futures.Future
            Of a dict, as :func:`ser_brain.inference.records.records_of` builds
            them.

        Raises
        ------
        RuntimeError
            If the batcher is closed.
        """
        job = Job(signal)
        with self._changed:
            if self._closed:
                raise RuntimeError("This batcher is closed.")
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self):
        """Classify what is waiting, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self):
        """Work until it is closed and nothing is waiting."""
        while taken := self._take():
            # The client may have cancelled.
            jobs = [j for j in taken if j.future.set_running_or_notify_cancel()]
            counts = [len(job.signal) for job in jobs]
            for places in batches_by_length(counts, self.seconds):
                self._answer([jobs[place] for place in places])

    def _take(self):
        """Take the oldest jobs, at least one, within the budget."""
        taken, left = [], self.seconds * SAMPLE_RATE
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            while self._waiting:
                left -= len(self._waiting[0].signal)
                if taken and left < 0:
                    break
                taken.append(self._waiting.popleft())
        return taken

    def _answer(self, jobs):
        """Set the result or the exception of each job."""
        begun = time.perf_counter()
        try:
            records = self._records(jobs)
        except Exception as error:
            # The thread survives, and a bad clip does not affect others.
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            for job in jobs:
                self._answer([job])
            return
        audio = sum(record["duration"] for record in records)
        self.observe(len(jobs), audio, time.perf_counter() - begun)
        for job, record in zip(jobs, records):
            job.future.set_result(record)

    def _records(self, jobs):
        """Compute the records of one padded batch."""
        batch = padded([SimpleNamespace(signal=j.signal) for j in jobs], "cpu")
        answers = self.recognizer.classify_batch(batch.wavs, batch.wav_lens)
        return records_of(
            self.recognizer.classes, answers, batch.wavs, batch.samples.tolist()
        )
