"""Reading the body of a request within limits, or refusing it."""

import asyncio
from contextlib import suppress

from ser_brain.serving.extras import extra
from ser_brain.serving.upload import NO_AUDIO, Refusal

with extra("serve"):
    from starlette.requests import ClientDisconnect

TOO_SLOW = 408
# A slower body would keep its place in the queue.
BODY_SECONDS = 60.0
# Seconds for which a refused body is still read: a client that is cut off
# while it sends may never read the reason.
LINGER_SECONDS = 5.0
HOW_TO_SEND = "send the file itself as the body (curl --data-binary @a.wav)."


async def read_body(request, limits):
    """The body of a request, if it is within the limits.

    Arguments
    ---------
    request : fastapi.Request
        Its stream was not read yet.
    limits : ser_brain.serving.upload.Limits
        No more than its bytes are kept.

    Returns
    -------
    bytes

    Raises
    ------
    Refusal
        413 where it is too large, 408 where it takes too long, 415 where it
        is empty or a form.
    """
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/"):
        await discard_body(request, request.stream())
        raise Refusal(NO_AUDIO, f"The body is a form: {HOW_TO_SEND}")
    if int(request.headers.get("content-length", 0)) > limits.bytes:
        await discard_body(request, request.stream())
        raise limits.too_large()
    try:
        content = await asyncio.wait_for(_read(request, limits), BODY_SECONDS)
    except asyncio.TimeoutError as error:
        raise Refusal(
            TOO_SLOW,
            f"The body did not come within {BODY_SECONDS:g} s: send it faster "
            "or compressed.",
        ) from error
    if not content:
        raise Refusal(NO_AUDIO, f"The body is empty: {HOW_TO_SEND}")
    return content


async def _read(request, limits):
    """All of the body, unless it is too large."""
    content, stream = bytearray(), request.stream()
    async for part in stream:
        content.extend(part)
        if len(content) > limits.bytes:
            await discard_body(request, stream)
            raise limits.too_large()
    return bytes(content)


async def discard_body(request, stream):
    """Reads what a client still sends that is refused, for a while.

    Arguments
    ---------
    request : fastapi.Request
        The request.
    stream : async iterator
        The parts of its body that were not read yet.
    """

    async def read():
        async for _ in stream:
            pass

    # A client that waits for our word before it sends need not send at all.
    if request.headers.get("expect", "").lower() != "100-continue":
        with suppress(asyncio.TimeoutError, ClientDisconnect):
            await asyncio.wait_for(read(), LINGER_SECONDS)
