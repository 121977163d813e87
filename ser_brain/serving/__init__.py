"""Ways to share and serve a trained model; each needs its extra."""

import os

# From its import on, onnxruntime would otherwise collect events for its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
