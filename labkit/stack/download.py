"""Download an archive: resumed where it broke off, verified before it is opened, unpacked into one folder only."""

import hashlib
import shutil
import sys
import tarfile
import time
from pathlib import Path

import httpx

from labkit.errors import LabError

__all__ = ["Unreachable", "download", "unpack"]

_TRIES = 5
_CONNECT_SECONDS, _READ_SECONDS = 3, 30  # a closed network should be noticed at once, a slow one may be slow
_REMEDY = "look at the network, or set LABKIT_MIRROR"


class Unreachable(LabError):
    """There is no such file to be had from here."""


def download(url: str, target: Path, sha256: str) -> None:
    """Fetch ``url`` into ``target`` and prove that it is the file with this checksum; raises LabError, or Unreachable.

    What was received before a break is kept in ``target`` with ``.part``, and the next try or call goes on from there.
    """
    part = target.with_name(f"{target.name}.part")
    for left in reversed(range(_TRIES)):
        try:
            _receive(url, part)
            break
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(
                f"{url} cannot be reached: {error}", "look at the network, or set LABKIT_MIRROR"
            ) from error
        except httpx.HTTPError as error:
            if not left:
                raise LabError(f"{url} broke off {_TRIES} times: {error!r}", "run the command again") from error
            time.sleep(0.2)
    found = _sha256(part)
    if found != sha256:
        part.unlink()
        raise LabError(
            f"{url} has the SHA-256 {found}, not {sha256}: it was not opened, and is deleted",
            "run the command again; if it stays so, somebody changed the file: tell the maintainers",
        )
    part.replace(target)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a verified archive into ``folder`` and return the one folder that is in it; raises LabError.

    A member that would leave ``folder``, by its path or through a link, makes it refuse the whole archive.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise LabError(f"{archive.name} is not unpacked: {error}", f"rm {archive}") from error
    found = list(folder.iterdir())
    if len(found) != 1 or not found[0].is_dir():
        raise LabError(f"{archive.name} holds {len(found)} entries, not one folder", f"rm {archive}")
    return found[0]


def _receive(url: str, part: Path) -> None:
    """Append to ``part`` what it lacks."""
    have = part.stat().st_size if part.exists() else 0
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
        if answer.status_code == 416:  # nothing is missing, or what is there is of another file: the checksum will tell
            return
        if answer.is_error:
            raise Unreachable(f"{url} was answered {answer.status_code}", _REMEDY)
        resumed = answer.status_code == 206
        total = int(answer.headers.get("content-length", 0)) + (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as stream:
            for block in answer.iter_raw():
                stream.write(block)
                _show(part.name, stream.tell(), total)
    if total and part.stat().st_size < total:
        raise httpx.ReadError(f"{part.stat().st_size} of {total} bytes came")


def _show(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        share = f"{done / total:4.0%} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{name.removesuffix('.part')}: {share}{end}")
        sys.stderr.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
