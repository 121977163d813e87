# The service `ser-brain serve` with CPU wheels (docs/serving.md):
#
#     docker build -t ser_brain .
#     docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/model:/model:ro" ser_brain
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HUB_OFFLINE=1

# Without this index, torch brings 2 GB of CUDA. Kept in step with setup.py.
RUN pip install --index-url https://download.pytorch.org/whl/cpu \
    "torch>=2.11,<2.12" "torchaudio>=2.11,<2.12"

WORKDIR /opt/ser_brain
COPY setup.py pyproject.toml README.md LICENSE NOTICE ./
COPY hparams hparams
COPY recipes recipes
COPY ser_brain ser_brain
RUN pip install ".[serve]"

# The process needs no right to write.
USER 65534:65534
WORKDIR /
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=5)"]
# Inside the container, all of its addresses; -p decides who reaches it.
ENTRYPOINT ["ser-brain", "serve"]
CMD ["/model", "--host", "0.0.0.0"]
