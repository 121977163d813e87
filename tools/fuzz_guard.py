"""A guard that refuses actions that no parser needs."""

import contextlib
import os
import sys
from pathlib import Path

# Programs, connections and changes that no parser needs.
REFUSED = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.chmod",
    "os.chown",
    "subprocess.Popen",
    "pty.spawn",
    "socket.connect",
    "socket.bind",
    "webbrowser.open",
)
# Changes of the file system, allowed in the target's own folder.
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate")
CHANGES += ("os.link", "os.symlink", "shutil.rmtree", "shutil.move")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Escape(BaseException):
    """A parser did something that only code from its input could do."""


class Guard:
    """Watch what Python does while a target runs; one per process.

    Arguments
    ---------
    folder : Path
        Where files may be written.
    """

    def __init__(self, folder):
        self.folder = os.path.realpath(folder)
        self.watches = False
        sys.addaudithook(self._see)

    @contextlib.contextmanager
    def watching(self):
        """Refuse forbidden actions until the context is left."""
        self.watches = True
        try:
            yield
        finally:
            self.watches = False

    def _see(self, event, arguments):
        if not self.watches:
            return
        if event == "open" and (arguments[2] or 0) & WRITES:
            # A file that is open already is a number.
            allowed = self._are_ours(arguments[:1])
        elif event in CHANGES:
            allowed = self._are_ours(arguments)
        else:
            allowed = event not in REFUSED
        if not allowed:
            raise Escape(f"{event} {arguments}")

    def _are_ours(self, arguments):
        """Whether all paths lie in the folder; the last number is its own."""
        kinds = (str, bytes, os.PathLike)
        paths = [os.fsdecode(a) for a in arguments if isinstance(a, kinds)]
        where = arguments[-1]
        if isinstance(where, int) and Path(f"/proc/self/fd/{where}").is_dir():
            paths = [f"/proc/self/fd/{where}/{path}" for path in paths]
        inside = self.folder + os.sep, os.devnull
        return all(os.path.realpath(p).startswith(inside) for p in paths)
