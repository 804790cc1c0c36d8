"""One at a time, between processes: a lock that the system frees when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.clock import wait_until
from labkit.errors import StartError, WaitTimeout

__all__ = ["file_lock"]


@contextmanager
def file_lock(path: Path, doing: str, timeout: float = 0) -> Iterator[None]:
    """Hold the lock file ``path`` for the block, waiting up to ``timeout`` seconds for it.

    Raises StartError that names ``doing`` and the process that holds it.
    """
    # Never deleted: a lock on a file that another process has unlinked would guard nothing.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            wait_until(lambda: _try(descriptor), timeout, f"the lock {path}")
        except WaitTimeout:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise StartError(
                f"another process (pid {holder}) is {doing}", f"wait until it is done, or end it: kill {holder}"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
