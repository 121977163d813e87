"""Centres of a running k-means, so that a killed one can continue."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from ser_brain.errors import MALFORMED
from ser_brain.files import write_atomically


class KMeansProgress:
    """The centres after the last complete iteration, in one file.

    Arguments
    ---------
    path : str or pathlib.Path
        The file, created at the end of the first iteration.
    starts : sequence of torch.Tensor
        The initial centres, each (k, dim). Only a k-means that starts from the
        same centres resumes from the file.

    Example
    -------
    >>> import tempfile
    >>> import torch
    >>> folder = tempfile.TemporaryDirectory()
    >>> progress = KMeansProgress(Path(folder.name, "a"), [torch.zeros(2, 3)])
    >>> progress.save(7, [torch.ones(2, 3)])
    >>> done, centres = progress.load()
    >>> done, centres[0].sum()
    (7, tensor(6.))
    >>> folder.cleanup()
    """

    def __init__(self, path, starts):
        self.path = Path(path)
        self.starts = list(starts)
        digest = hashlib.sha256()
        for start in self.starts:
            digest.update(repr(tuple(start.shape)).encode())
            digest.update(start.cpu().numpy().tobytes())
        self.key = digest.hexdigest()

    def load(self):
        """Iterations done and their centres; 0 and the initial ones if none.

        Returns
        -------
        done : int
            Number of iterations.
        centres : list of torch.Tensor
            On the CPU.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                record = json.loads((file.metadata() or {})["progress"])
                if record["key"] != self.key:
                    return 0, self.starts
                names = map(str, range(len(self.starts)))
                done = int(record["done"])
                centres = [file.get_tensor(name) for name in names]
        except (FileNotFoundError, SafetensorError, *MALFORMED):
            # Only time is lost: the same centres come out.
            return 0, self.starts
        fits = [a.shape == b.shape for a, b in zip(centres, self.starts)]
        return (done, centres) if all(fits) else (0, self.starts)

    def save(self, done, centres):
        """Replace the file by the centres after `done` iterations."""
        record = {"key": self.key, "done": done}
        tensors = {str(i): c.cpu() for i, c in enumerate(centres)}
        metadata = {"progress": json.dumps(record)}
        write_atomically(self.path, to_bytes(tensors, metadata))
