"""train_log.txt: one line per epoch and stage."""

from pathlib import Path

from speechbrain.utils.distributed import main_process_only
from speechbrain.utils.train_logger import FileTrainLogger

from ser_brain.files import write_atomically


class EpochLog(FileTrainLogger):
    """SpeechBrain's log, in which a resumed epoch replaces its first try.

    A process that is killed between the line of an epoch and its checkpoint
    leaves a line that the resumed one writes again; a power cut may leave an
    incomplete line, which is removed.

    Arguments
    ---------
    save_file : str
        The file.
    precision : int
        Decimal places.
    stage : str
        The stage whose epochs are logged.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train_log.txt"
    >>> log = EpochLog(str(path), precision=4, stage="classifier")
    >>> for epoch, loss in ((1, 3.0), (2, 2.5), (2, 2.0)):
    ...     log.log_stats({"epoch": epoch}, {"loss": loss}, verbose=False)
    >>> print(path.read_text().strip())
    stage: classifier, epoch: 1 - train loss: 3.0000
    stage: classifier, epoch: 2 - train loss: 2.0000
    """

    def __init__(self, save_file, precision, stage):
        super().__init__(save_file, precision)
        self.stage = stage

    @main_process_only
    def log_stats(self, stats_meta, *args, **kwargs):
        """See ``FileTrainLogger``; ``stats_meta`` has the epoch."""
        self._forget(stats_meta["epoch"])
        super().log_stats({"stage": self.stage, **stats_meta}, *args, **kwargs)

    def _forget(self, epoch):
        """Remove the lines of this stage from an epoch on."""
        path = Path(self.save_file)
        if not path.is_file():
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [
            line
            for line in lines
            if line.endswith("\n")
            and not self._is_later(line, f"stage: {self.stage}, epoch: ", epoch)
        ]
        if kept != lines:
            write_atomically(path, "".join(kept))

    def _is_later(self, line, start, epoch):
        """Whether a line is of an epoch that has yet to be run."""
        number = line.removeprefix(start).split(" - ")[0].split(",")[0].strip()
        return line.startswith(start) and int(number) >= epoch
