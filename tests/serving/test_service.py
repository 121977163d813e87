"""The service over HTTP: answers, refusals, a full queue, its page, its end."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from io import BytesIO
from threading import Event

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from ser_brain import cli
from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer
from ser_brain.serving.address import is_loopback, listen, url
from ser_brain.serving.service import Service, make_app
from ser_brain.serving.upload import Limits


@pytest.fixture
def client(recognizer):
    """Takes 1 MB and 5 s."""
    service = Service(recognizer, Limits(5, 1))
    with TestClient(make_app(service)) as client:
        yield client


def test_the_answer_is_that_of_classify_file(client, audio, alone):
    content = audio(1.3, 44100, 2, "flac")
    response = client.post("/classify", content=content)
    assert response.status_code == 200
    found, expected = response.json(), alone(content)
    assert found["duration"] == pytest.approx(1.3, abs=1e-3)
    assert found["label"] == expected["label"]
    assert found["score"] == pytest.approx(expected["score"], abs=1e-5)
    assert found["posteriors"] == pytest.approx(
        expected["posteriors"], abs=1e-5
    )


def test_a_silent_recording_is_answered_with_a_warning(client):
    file = BytesIO()
    soundfile.write(file, np.zeros(16000), 16000, format="wav")
    found = client.post("/classify", content=file.getvalue()).json()
    assert found["warnings"][0] == "silent"


def test_many_at_once(recognizer, audio, alone):
    """Batched, each with its own answer."""
    contents = [
        audio(0.5 + 0.1 * (n % 7), 16000, 1 + n % 2, "wav", seed=n)
        for n in range(24)
    ]
    service = Service(recognizer)

    async def ask():
        transport = httpx.ASGITransport(make_app(service))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test"
        ) as client:
            return await asyncio.gather(
                *(client.post("/classify", content=c) for c in contents)
            )

    responses = asyncio.run(ask())
    service.batcher.close()
    for response, content in zip(responses, contents):
        expected = alone(content)["posteriors"]
        found = response.json()["posteriors"]
        assert found == pytest.approx(expected, abs=1e-5)
    text = service.metrics.text().decode()
    assert 'ser_brain_requests_total{status="200"} 24.0' in text
    assert "ser_brain_requests_in_flight 0.0" in text
    assert "ser_brain_batch_clips_sum 24.0" in text
    batches = float(re.search(r"batch_clips_count (\S+)", text)[1])
    assert batches < 24


def huge():
    """Samples that are numbers, and whose squares are none."""
    file = BytesIO()
    samples = np.tile([1e38, -1e38], 8000).astype(np.float32)
    soundfile.write(file, samples, 16000, format="wav", subtype="FLOAT")
    return file.getvalue()


@pytest.mark.parametrize(
    "make, status, part",
    [
        (lambda audio: b"", 415, "empty"),
        (lambda audio: b"no audio" * 999, 415, "cannot be read as audio"),
        (lambda audio: audio(0.01), 422, "10 ms"),
        (lambda audio: audio(6, 8000), 422, "longer than 5 s"),
        (lambda audio: bytes(1_000_001), 413, "1 MB"),
        (lambda audio: huge(), 422, "out of range"),
    ],
)
def test_a_body_that_is_refused(client, audio, make, status, part):
    response = client.post("/classify", content=make(audio))
    assert response.status_code == status
    assert part in response.json()["detail"]
    assert f'status="{status}"}} 1.0' in client.get("/metrics").text
    assert client.get("/health").json()["in_flight"] == 0


def test_a_body_of_unknown_length(client, audio):
    """In pieces, without a Content-Length: the limit holds all the same."""
    whole = audio()
    pieces = (whole[n : n + 1000] for n in range(0, len(whole), 1000))
    assert client.post("/classify", content=pieces).status_code == 200
    endless = (bytes(1000) for _ in range(2000))
    assert client.post("/classify", content=endless).status_code == 413


def test_a_form(client, audio):
    response = client.post("/classify", files={"file": audio()})
    assert response.status_code == 415
    assert "--data-binary" in response.json()["detail"]


class Slow(EmotionRecognizer):
    """Computes nothing, after its first batch, before it is let."""

    def __init__(self, other):
        super().__init__(other.encoder, other.head, other.classes)
        self.open = Event()
        self.open.set()
        self.fails = False

    def classify_batch(self, wavs, wav_lens=None):
        assert self.open.wait(300)
        if self.fails:
            raise RuntimeError("the weights melted")
        return super().classify_batch(wavs, wav_lens)


@pytest.fixture
def slow(recognizer):
    return Slow(recognizer)


def test_a_full_queue(slow, audio):
    """Two are accepted and answered later; others are told when to come."""
    service = Service(slow, queue=2)
    slow.open.clear()
    with TestClient(make_app(service)) as client, ThreadPoolExecutor() as pool:
        accepted = [
            pool.submit(client.post, "/classify", content=audio())
            for _ in range(2)
        ]
        while client.get("/health").json()["in_flight"] < 2:
            pass
        for _ in range(3):
            refused = client.post("/classify", content=audio())
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert "2 requests are waiting" in refused.json()["detail"]
        slow.open.set()
        assert [a.result().status_code for a in accepted] == [200, 200]
        assert client.post("/classify", content=audio()).status_code == 200


def test_a_model_that_fails(slow, audio):
    """Its clients are told; the service goes on."""
    service = Service(slow)
    app = make_app(service)
    with TestClient(app, raise_server_exceptions=False) as client:
        slow.fails = True
        response = client.post("/classify", content=audio())
        assert response.status_code == 500
        assert "traceback" in response.json()["detail"]
        slow.fails = False
        assert client.post("/classify", content=audio()).status_code == 200


def test_options_out_of_their_range(recognizer):
    with pytest.raises(InputError, match="queue is 0"):
        Service(recognizer, queue=0)
    with pytest.raises(InputError, match="batch_seconds is -1"):
        Service(recognizer, batch_seconds=-1)


def test_the_description(client):
    """OpenAPI names the three paths, and every status of /classify."""
    found = client.get("/openapi.json").json()
    assert {*found["paths"]} == {"/classify", "/health", "/metrics"}
    classify = found["paths"]["/classify"]["post"]
    wanted = {"200", "408", "413", "415", "422", "429", "500"}
    assert {*classify["responses"]} == wanted
    assert "audio/*" in classify["requestBody"]["content"]
    assert client.get("/").url.path == "/docs"


def test_addresses():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url(listener) == f"http://127.0.0.1:{port}"
        assert is_loopback(listener)
        with pytest.raises(InputError, match=f"Port {port} of 127.0.0.1"):
            listen("127.0.0.1", port)
    with listen("0.0.0.0", 0) as listener:
        assert not is_loopback(listener)
    for host, port in (("no.such.host.invalid", 1), ("127.0.0.1", 99999)):
        with pytest.raises(InputError, match="cannot be used"):
            listen(host, port)


@pytest.fixture(scope="module")
def served(model):
    """The command itself in a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ser_brain.cli", "serve", model, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    address = re.search(r"http://127.0.0.1:\d+", process.stdout.readline())
    assert address, process.communicate()
    yield process, address[0]
    process.kill()
    process.wait()


def test_its_page_loads_nothing_from_elsewhere(served, browser_requests):
    page, requests = browser_requests
    page.goto(f"{served[1]}/docs")
    page.get_by_text("The emotion of a recording").wait_for(timeout=300_000)
    assert len(requests) >= 4
    assert {httpx.URL(request).host for request in requests} == {"127.0.0.1"}


def test_the_end_loses_no_request(served, audio):
    """SIGTERM while three clients send: each gets its answer after it."""
    process, address = served
    here = httpx.URL(address)
    content = audio()
    clients = [HTTPConnection(here.host, here.port) for _ in range(3)]
    for client in clients:
        client.putrequest("POST", "/classify")
        client.putheader("Content-Length", str(len(content)))
        client.endheaders(content[:5000])
    while httpx.get(f"{address}/health", timeout=300).json()["in_flight"] < 3:
        pass
    process.send_signal(signal.SIGTERM)
    while accepts(here):
        pass
    for client in clients:
        client.send(content[5000:])
        assert client.getresponse().status == 200
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and err == ""
    assert "stopped after 3 requests" in out


def accepts(here):
    """Whether somebody listens there."""
    try:
        socket.create_connection((here.host, here.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_extra_is_missing(model, monkeypatch, capsys):
    """One sentence with what to install."""
    for name in [n for n in sys.modules if n.startswith("ser_brain.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve", str(model)]) == 2
    err = capsys.readouterr().err
    assert "uvicorn is not installed" in err
    assert "pip install 'ser_brain[serve]'" in err


def test_a_model_that_is_none(tmp_path, capsys):
    assert cli.main(["serve", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
