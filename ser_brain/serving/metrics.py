"""Metrics of a service in Prometheus's format."""

from ser_brain.serving.extras import extra

with extra("serve"):
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        ProcessCollector,
        generate_latest,
    )

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CLIPS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters and histograms of one service, and of its process.

    Example
    -------
    >>> metrics = Metrics()
    >>> metrics.batch(clips=3, audio=6.0, seconds=0.2)
    >>> print(metrics.text().decode())
    # HELP ...
    ser_brain_audio_seconds_total 6.0
    ...
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own = {"registry": self.registry}
        self.requests = Counter(
            "ser_brain_requests",
            "Requests to /classify, by the status of their response.",
            ["status"],
            **own,
        )
        self.request_seconds = Histogram(
            "ser_brain_request_seconds",
            "Time from a request to its response.",
            buckets=SECONDS,
            **own,
        )
        self.in_flight = Gauge(
            "ser_brain_requests_in_flight",
            "Requests that are read, wait or are computed.",
            **own,
        )
        self.audio_seconds = Counter(
            "ser_brain_audio_seconds", "Audio that was classified.", **own
        )
        self.batch_clips = Histogram(
            "ser_brain_batch_clips", "Clips in a batch.", buckets=CLIPS, **own
        )
        self.batch_seconds = Histogram(
            "ser_brain_batch_seconds",
            "Time that the model takes for a batch.",
            buckets=SECONDS,
            **own,
        )

    def batch(self, clips, audio, seconds):
        """Count a batch.

        Arguments
        ---------
        clips : int
            Number of clips in the batch.
        audio : float
            Duration of the audio in seconds.
        seconds : float
            Computing time of the model.
        """
        self.audio_seconds.inc(audio)
        self.batch_clips.observe(clips)
        self.batch_seconds.observe(seconds)

    def request(self, status, seconds):
        """Count a request by its status and the seconds that it took."""
        self.requests.labels(status).inc()
        self.request_seconds.observe(seconds)

    def text(self):
        """Return everything as bytes, in Prometheus's text format."""
        return generate_latest(self.registry)
