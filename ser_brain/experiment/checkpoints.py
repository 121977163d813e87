"""SpeechBrain's checkpoints, whole or not there."""

import shutil

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from ser_brain.errors import InputError
from ser_brain.experiment.disk import disk_is_full

PARTIAL = "partial+"


class WholeCheckpointer(Checkpointer):
    """A checkpointer that a kill or a full disk cannot spoil.

    SpeechBrain marks a checkpoint's folder as one before its weights are
    written, so a process that ends meanwhile leaves one that cannot be
    loaded, and it is the newest. Here the folder gets its name last.

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
        """As SpeechBrain's; what an earlier kill left is cleared away.

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
                "space and start the same command again, it goes on where it "
                "stopped."
            ) from error
        # All processes may write into the folder.
        ddp_barrier()
        if saved is not None:
            final = saved.path.name.removeprefix(PARTIAL)
            path = saved.path.rename(saved.path.with_name(final))
            files = {
                name: path / file.name
                for name, file in saved.paramfiles.items()
            }
            saved = saved._replace(path=path, paramfiles=files)
        ddp_barrier()
        return saved

    def _clear(self):
        """Removes what was not written to its end."""
        if if_main_process():
            for left in self.checkpoints_dir.glob(f"{PARTIAL}*"):
                shutil.rmtree(left)
