"""SpeechBrain's checkpoints, either complete or absent."""

import json
import logging
import shutil

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.distributed import (
    ddp_barrier,
    if_main_process,
    run_on_main,
)

from ser_brain.errors import InputError
from ser_brain.experiment.disk import disk_is_full
from ser_brain.files import changed_file, digests, sync, sync_all

PARTIAL = "partial+"
FILES = "files.json"

logger = logging.getLogger(__name__)


class WholeCheckpointer(Checkpointer):
    """A checkpointer that survives kills, power cuts and a full disk.

    SpeechBrain marks a folder as a checkpoint before its weights are written,
    so a process that ends meanwhile leaves a newest checkpoint that cannot be
    loaded. Here the folder gets its name last, when all of it is on the disk,
    and ``files.json`` in it has the checksum of every file. A checkpoint that
    has changed since it was written is never loaded.

    Example
    -------
    >>> import tempfile, torch
    >>> folder = tempfile.TemporaryDirectory()
    >>> checkpointer = WholeCheckpointer(
    ...     folder.name, {"layer": torch.nn.Linear(1, 1)}
    ... )
    >>> checkpointer.save_and_keep_only()
    >>> [path.name[:5] for path in checkpointer.checkpoints_dir.iterdir()]
    ['CKPT+']
    >>> folder.cleanup()
    """

    def _new_checkpoint_dirpath(self):
        final = super()._new_checkpoint_dirpath()
        return final.with_name(PARTIAL + final.name)

    def save_checkpoint(self, *args, **kwargs):
        """As in SpeechBrain; leftovers of an earlier kill are removed.

        Returns
        -------
        Checkpoint
            On the main process; None on others.
        """
        self._clear()
        try:
            saved = super().save_checkpoint(*args, **kwargs)
        except (OSError, RuntimeError) as error:
            if not disk_is_full(error):
                raise
            self._clear()
            raise InputError(
                f"the disk of {self.checkpoints_dir} is full: free some "
                "space and start the same command again to continue where "
                "it stopped."
            ) from error
        # All processes may write into the folder.
        ddp_barrier()
        if saved is not None:
            written = json.dumps(digests(saved.path))
            (saved.path / FILES).write_text(written, encoding="utf-8")
            sync_all(saved.path)
            final = saved.path.name.removeprefix(PARTIAL)
            path = saved.path.rename(saved.path.with_name(final))
            sync(self.checkpoints_dir)
            files = {
                name: path / file.name
                for name, file in saved.paramfiles.items()
            }
            saved = saved._replace(path=path, paramfiles=files)
        ddp_barrier()
        return saved

    def recover_if_possible(self, *args, **kwargs):
        """As in SpeechBrain, but only from unchanged checkpoints.

        Returns
        -------
        Checkpoint or None
            The checkpoint that was loaded.
        """
        run_on_main(self._drop_torn)
        return super().recover_if_possible(*args, **kwargs)

    def _drop_torn(self):
        """Remove checkpoints that have changed since they were written."""
        for path in self._list_checkpoint_dirs():
            fault = torn(path)
            if fault is not None:
                logger.warning(
                    f"{fault} in the checkpoint {path}: it is not used."
                )
                shutil.rmtree(path)

    def _clear(self):
        """Remove checkpoints that were not completely written."""
        if if_main_process():
            for left in self.checkpoints_dir.glob(f"{PARTIAL}*"):
                shutil.rmtree(left)


def torn(folder):
    """What is wrong with a checkpoint's files.

    Arguments
    ---------
    folder : Path
        The checkpoint's folder.

    Returns
    -------
    str or None
        As for :func:`ser_brain.files.changed_file`.

    Example
    -------
    >>> torn(getfixture("tmp_path"))
    'files.json is missing or torn'
    """
    try:
        written = json.loads((folder / FILES).read_text(encoding="utf-8"))
        return changed_file(folder, dict(written))
    except (OSError, ValueError, TypeError):
        return f"{FILES} is missing or torn"
