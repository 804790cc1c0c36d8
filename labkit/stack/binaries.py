"""Find Prometheus and Alertmanager, or fetch them into the user's cache: no root, nothing installed.

They are looked for on PATH, then in the cache; they are fetched as official releases, and where those are out of reach
as Debian's packages. Run as ``python -m labkit.stack.binaries``, it prints where they are.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from labkit.errors import LabError, StartError
from labkit.stack.download import Unreachable
from labkit.stack.locks import file_lock
from labkit.stack.releases import RELEASES, fetch

__all__ = ["NAMES", "cache_folder", "ensure", "ensure_grafana", "find"]

# By upstream's name; Debian's package calls its Alertmanager otherwise.
NAMES = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "amtool": ("amtool",),
}
_PACKAGES = ("prometheus", "prometheus-alertmanager")

# Package lists and downloads of our own, so that neither root nor a fresh list of the system is needed.
# Hooks of the system (cleaning its cache, rebuilding its indexes) are none of our business and may want root.
_APT_CONFIG = """\
Dir::State "{folder}/state";
Dir::State::lists "lists/";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def find(name: str) -> Path | None:
    """Return the program ``name`` (one of NAMES) on PATH, else in the user's cache, else None."""
    for alias in NAMES[name]:
        if found := shutil.which(alias) or shutil.which(alias, path=str(cache_folder() / "usr" / "bin")):
            return Path(found).absolute()
    return None


def ensure() -> dict[str, Path]:
    """Return all of NAMES with their paths, fetching them first where they are missing.

    Raises StartError with the one command that helps where they cannot be fetched.
    """
    if not _missing():
        return _found()
    cache_folder().mkdir(parents=True, exist_ok=True)
    with file_lock(cache_folder() / "lock", "fetching Prometheus and Alertmanager", timeout=600):
        if missing := _missing():  # another process may have fetched them while we waited
            _fetch(missing)
    return _found()


def _found() -> dict[str, Path]:
    return {name: path for name in NAMES if (path := find(name))}


def _missing() -> list[str]:
    return [name for name in NAMES if not find(name)]


def cache_folder() -> Path:
    """Return the folder of this user's cache that is ours."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "labkit"


def _fetch(missing: list[str]) -> None:
    problem = f"{', '.join(missing)} not found on PATH or in {cache_folder()}"
    try:
        _fetch_releases()
        return
    except Unreachable as error:
        problem = f"{problem}; {error.problem}"
    except LabError as error:
        raise StartError(f"{problem}; {error.problem}", error.remedy) from error
    if sys.platform == "darwin":
        raise StartError(problem, "run: brew install prometheus alertmanager")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise StartError(
            f"{problem}, and there is no apt-get to fetch them with",
            "install Prometheus and Alertmanager with your system's packages, so that PATH has them",
        )
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="fetch-") as folder:
        try:
            _download(Path(folder))
        except subprocess.CalledProcessError as error:
            raise StartError(
                f"{problem}; fetching them failed: {error.cmd[0]} said\n{error.stdout.strip()[-2000:]}",
                f"mend the network or /etc/apt, or run as root: apt-get install {' '.join(_PACKAGES)}",
            ) from error


def _fetch_releases() -> None:
    """Fill the cache with the official programs."""
    with _downloads() as scratch, tempfile.TemporaryDirectory(dir=cache_folder(), prefix="fetch-") as name:
        programs = Path(name, "usr", "bin")
        programs.mkdir(parents=True)
        for release in (RELEASES["prometheus"], RELEASES["alertmanager"]):
            folder = fetch(release, scratch)
            for program in release.programs:
                (folder / program).rename(programs / program)
        shutil.rmtree(cache_folder() / "usr", ignore_errors=True)
        programs.parent.rename(cache_folder() / "usr")


@contextmanager
def _downloads() -> Iterator[Path]:
    """Give a folder for archives; it is left behind only if one of them broke off, to be gone on with."""
    folder = cache_folder() / "downloads"
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        with suppress(OSError):
            folder.rmdir()


def ensure_grafana() -> Path:
    """Return the program of an official Grafana in the user's cache, fetching it first; raises LabError."""
    place = cache_folder() / "grafana"
    cache_folder().mkdir(parents=True, exist_ok=True)
    with file_lock(cache_folder() / "lock", "fetching Grafana", timeout=600):
        if not (place / "bin" / "grafana").is_file():
            with _downloads() as scratch:
                fetch(RELEASES["grafana"], scratch).rename(place)
    return place / "bin" / "grafana"


def _download(folder: Path) -> None:
    """Let apt, which checks the archive's signatures, fetch the packages, and keep their programs."""
    config = folder / "apt.conf"
    config.write_text(_APT_CONFIG.format(folder=folder))
    for sub in ("state/lists/partial", "cache/archives/partial"):
        (folder / sub).mkdir(parents=True)
    _run(folder, "apt-get", "-c", str(config), "-q", "update")
    _run(folder, "apt-get", "-c", str(config), "-q", "download", *_PACKAGES)
    for package in folder.glob("*.deb"):
        _run(folder, "dpkg-deb", "-x", str(package), "unpacked")
    programs = folder / "unpacked" / "usr" / "bin"
    _relocate(programs / "prometheus-alertmanager")
    for program in programs.iterdir():
        _run(folder, str(program), "--version")  # proves that it runs here, before anybody finds it
    shutil.rmtree(cache_folder() / "usr", ignore_errors=True)
    programs.parent.rename(cache_folder() / "usr")


def _relocate(alertmanager: Path) -> None:
    """Let Debian's Alertmanager look for its templates beside its own folder, if it is started there.

    Its only other place for them, and it does not start without them, is a folder that installing would fill.
    """
    absolute, relative = b"/usr/share/prometheus/alertmanager", b"./../share/prometheus/alertmanager"
    alertmanager.write_bytes(alertmanager.read_bytes().replace(absolute, relative))  # of the same length: nothing moves


def _run(folder: Path, *command: str) -> None:
    subprocess.run(
        command, cwd=folder, check=True, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@click.command()
@click.option("--grafana", is_flag=True, help="Fetch Grafana too, an official release of about 200 MB.")
def main(grafana: bool) -> None:
    """Print where the lab's servers are, fetching them first if need be."""
    try:
        for name, path in ensure().items():
            click.echo(f"{name}: {path}")
        if grafana:
            click.echo(f"grafana: {ensure_grafana()}")
    except LabError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
