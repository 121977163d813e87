"""A model behind HTTP, with one queue and one inference thread."""

import asyncio
import math
import time
from contextlib import asynccontextmanager

import torch

from ser_brain import __version__
from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.errors import InputError
from ser_brain.serving.batching import Batcher
from ser_brain.serving.body import TOO_SLOW, discard_body, read_body
from ser_brain.serving.extras import extra
from ser_brain.serving.metrics import Metrics
from ser_brain.serving.upload import (
    NO_AUDIO,
    TOO_LARGE,
    UNUSABLE,
    Limits,
    Refusal,
    decode,
)

with extra("serve"):
    from fastapi import Request, Response
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import JSONResponse, RedirectResponse
    from fastapi_offline import FastAPIOffline
    from pydantic import BaseModel, Field
    from starlette.requests import ClientDisconnect

BUSY, GONE, FAILED = 429, 499, 500


class Answer(BaseModel):
    """The emotion of a recording."""

    label: str = Field(description="The most likely class.")
    score: float = Field(description="Its probability.")
    duration: float = Field(description="Of the recording, in seconds.")
    posteriors: dict[str, float] = Field(
        description="The probability of each class."
    )
    warnings: list[str] = Field(
        description="silent or quiet, about the recording; unsure, about the "
        "label."
    )


class Refused(BaseModel):
    """Response to a refused request."""

    detail: str = Field(description="What is wrong and how to correct it.")


class Health(BaseModel):
    """State of a service that accepts requests."""

    status: str = Field(description="ok")
    version: str = Field(description="Version of ser_brain.")
    classes: list[str] = Field(description="The classes of the model.")
    in_flight: int = Field(description="Number of pending requests.")
    queue: int = Field(description="Maximum number of pending requests.")


AUDIO = {"schema": {"type": "string", "format": "binary"}}
BODY = {
    "requestBody": {
        "description": "The audio file itself, at any sampling rate and with "
        "any number of channels: wav, flac, mp3, ogg, opus and whatever else "
        "soundfile opens. Its format is read from its content.",
        "required": True,
        "content": {"application/octet-stream": AUDIO, "audio/*": AUDIO},
    }
}
REFUSALS = {
    TOO_SLOW: "The body took too long.",
    TOO_LARGE: "The body is too large.",
    NO_AUDIO: "The body is not an audio file.",
    UNUSABLE: "The audio is too long or too short, or not finite.",
    BUSY: "The queue is full: try again after the seconds in Retry-After.",
    FAILED: "The model failed.",
}


class Service:
    """Handling of requests: a place in the queue, decoding, and batches.

    Arguments
    ---------
    recognizer : ser_brain.inference.EmotionRecognizer
        The model.
    limits : Limits, optional
        The largest file that is classified.
    queue : int
        Maximum number of requests at once; further ones are refused.
    batch_seconds : float, optional
        Maximum audio per batch, as for ``classify_files``.

    Raises
    ------
    InputError
        If an option is out of its range, or the model's posteriors are not
        finite.
    """

    def __init__(self, recognizer, limits=None, queue=64, batch_seconds=None):
        if queue < 1:
            raise InputError(f"queue is {queue}: give 1 or more.")
        self.recognizer = recognizer
        self.limits = limits or Limits()
        self.queue = queue
        self.metrics = Metrics()
        self.in_flight = self.answered = 0
        self.clips, self.computing = 0, 0.0
        # The first batch is the slowest, and reveals a damaged model.
        recognizer.classify_batch(0.1 * torch.randn(SAMPLE_RATE))
        self.batcher = Batcher(recognizer, batch_seconds, self._observe)

    def _observe(self, clips, audio, seconds):
        """After each batch."""
        self.clips += clips
        self.computing += seconds
        self.metrics.batch(clips, audio, seconds)

    async def classify(self, request):
        """The record of a request's body.

        Arguments
        ---------
        request : fastapi.Request
            Its body is the audio file.

        Returns
        -------
        dict
            As :class:`Answer` describes it.

        Raises
        ------
        Refusal
            If the queue is full or the body is not classified.
        """
        if self.in_flight >= self.queue:
            await discard_body(request, request.stream())
            raise self._busy()
        self._count(1)
        try:
            content = await read_body(request, self.limits)
            signal = await run_in_threadpool(
                decode, content, self.limits, self.recognizer.shortest
            )
            del content
            return await self._answer(signal)
        finally:
            self._count(-1)

    async def _answer(self, signal):
        """The record of a waveform, when its batch was computed."""
        try:
            return await asyncio.wrap_future(self.batcher.submit(signal))
        except InputError as error:
            # The weights are good, because the first batch was finite.
            raise Refusal(
                UNUSABLE,
                "The file's posteriors are not finite, because its samples "
                "are out of range: export it again.",
            ) from error

    def _count(self, change):
        self.in_flight += change
        self.metrics.in_flight.set(self.in_flight)

    def _busy(self):
        """The refusal if the queue is full, with the time to empty it."""
        each = self.computing / max(1, self.clips)
        wait = max(1, math.ceil(self.queue * each))
        return Refusal(
            BUSY,
            f"{self.queue} requests are waiting already: try again in "
            f"{wait} s.",
            {"Retry-After": str(wait)},
        )

    def health(self):
        """As :class:`Health` describes it."""
        return {
            "status": "ok",
            "version": __version__,
            "classes": self.recognizer.classes,
            "in_flight": self.in_flight,
            "queue": self.queue,
        }


def make_app(service):
    """The HTTP application of a service.

    Arguments
    ---------
    service : Service
        Its batcher is closed, after the last response, when the application
        ends.

    Returns
    -------
    fastapi.FastAPI
        ``POST /classify``, ``GET /health``, ``GET /metrics``, and the page
        ``/docs`` that describes them, which loads nothing from elsewhere.
    """

    @asynccontextmanager
    async def lifespan(app):
        yield
        await run_in_threadpool(service.batcher.close)

    app = FastAPIOffline(
        title="ser_brain",
        description="The emotion of recorded speech.",
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        # Else the page asks a validator elsewhere.
        swagger_ui_parameters={"validatorUrl": None},
    )
    _add_classify(app, service)

    @app.get(
        "/health",
        summary="Whether requests are taken",
        response_model=Health,
    )
    async def health():
        return service.health()

    @app.get(
        "/metrics",
        summary="Counters and histograms for Prometheus",
        response_class=Response,
    )
    async def metrics():
        metrics = service.metrics
        return Response(metrics.text(), media_type=metrics.content_type)

    @app.get("/", include_in_schema=False)
    async def index():
        return RedirectResponse("docs")

    @app.exception_handler(Exception)
    async def failed(request, error):
        detail = "The model failed: its log has the traceback."
        return JSONResponse({"detail": detail}, FAILED)

    return app


def _add_classify(app, service):
    """Add ``POST /classify`` and its error responses."""
    responses = {
        status: {"model": Refused, "description": text}
        for status, text in REFUSALS.items()
    }

    @app.post(
        "/classify",
        summary="The emotion of a recording",
        response_model=Answer,
        responses=responses,
        openapi_extra=BODY,
    )
    async def classify(request: Request):
        begun, status = time.perf_counter(), FAILED
        try:
            record = await service.classify(request)
            status = 200
            return record
        except Refusal as refusal:
            status = refusal.status
            raise
        except ClientDisconnect:
            status = GONE
            return Response(status_code=GONE)
        finally:
            service.answered += status != GONE
            service.metrics.request(status, time.perf_counter() - begun)

    @app.exception_handler(Refusal)
    async def refused(request, refusal):
        return JSONResponse(
            {"detail": str(refusal)}, refusal.status, refusal.headers
        )
