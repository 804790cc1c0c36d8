"""Files that are whole or absent, also after a crash, and that are read only when they are what they seem."""

import os
import stat
import tempfile
from pathlib import Path

from labkit.errors import RegistryError

__all__ = ["read_regular", "replace_file", "sync_folder", "write_synced"]


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file; raises RegistryError for a symlink, a device, or more than ``max_bytes``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise RegistryError(f"cannot read {path}: {error.strerror}", "use another version: labkit models") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RegistryError(f"{path} is not a regular file", "delete it and use another version: labkit models")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise RegistryError(f"{path} is larger than {max_bytes:,} bytes", "use another version: labkit models")
    return data


def write_synced(path: Path, data: bytes) -> None:
    """Create a file and wait until the disk has it."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of a file: a reader sees the old bytes or the new, never a part."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
        fresh = Path(folder, path.name)
        write_synced(fresh, data)
        fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's entries: a rename is not durable before."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
