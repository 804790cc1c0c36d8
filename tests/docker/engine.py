"""A container engine for tests: the one that answers, else one of our own; and images where no registry is in reach.

What cannot be pulled is built from Debian's packages under the same name: a base system, and the servers' programs.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from labkit.clock import wait_until
from labkit.errors import LabError, WaitTimeout
from labkit.stack import binaries
from labkit.stack.engine import docker, has_image
from labkit.stack.locks import file_lock

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
GRAFANA = yaml.safe_load(COMPOSE.read_text())["services"]["grafana"]["image"]
_PULL_SECONDS = 15
# Programs that a learner's machine has no use for are left out: the base is as small as the official one.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl", "usr/lib/*/perl")

_PYTHON = """\
FROM debian:bookworm-slim
COPY certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ln -s /usr/bin/python3 /usr/local/bin/python
"""
_SERVER = """\
FROM debian:bookworm-slim
COPY programs/ /bin/
COPY templates/ /usr/share/prometheus/
RUN mkdir -p /share /{name} && ln -s /usr/share/prometheus /share/prometheus && ln -s /bin/busybox /bin/wget \
    && chown 65534:65534 /{name}
USER 65534
WORKDIR /{name}
ENTRYPOINT ["/bin/{name}"]
"""


class NoEngine(Exception):
    """There is no container engine here, and why."""


@contextmanager
def open_engine() -> Iterator[None]:
    """Point DOCKER_HOST to an engine that answers for the block; raises NoEngine."""
    if not shutil.which("docker"):
        raise NoEngine("there is no docker command")
    os.environ["DOCKER_BUILDKIT"] = "0"  # the builder that every engine has
    if _answers():
        yield
    elif sys.platform != "linux" or os.getuid() or not shutil.which("dockerd"):
        raise NoEngine(
            "no container engine answers, and none can be started here: that takes root and dockerd on Linux"
        )
    else:
        with _own_engine():
            yield


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0


@contextmanager
def _own_engine() -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="labkit-engine-"))
    before, bridge_before = os.environ.get("DOCKER_HOST"), Path("/sys/class/net/docker0").exists()
    places = [f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}"]
    os.environ["DOCKER_HOST"] = f"unix://{folder / 'sock'}"
    with (folder / "log").open("wb") as log:
        command = ["dockerd", *places, f"--host={os.environ['DOCKER_HOST']}"]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        try:
            wait_until(lambda: process.poll() is not None or _answers(), 60, "the engine to answer", every=0.5)
        except WaitTimeout as error:
            raise NoEngine(str(error)) from error
        if process.poll() is not None:
            raise NoEngine(f"dockerd does not start here: {(folder / 'log').read_text()[-500:]}")
        yield
        with suppress(LabError):
            _remove_everything()
    finally:
        process.terminate()
        process.wait(60)
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not bridge_before:
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)


def _remove_everything() -> None:
    if containers := docker("ps", "--all", "--quiet").split():
        docker("rm", "--force", "--volumes", *containers)
    docker("network", "prune", "--force")


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(str(folder))), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def provide_images(scratch: Path) -> None:
    """Pull what the stack is made of; where no registry answers, build stand-ins from Debian's packages."""
    names = yaml.safe_load(COMPOSE.read_text())["services"]
    wanted = ["python:3.12-slim", *(names[name]["image"] for name in ("prometheus", "alertmanager"))]
    if all(map(has_image, wanted)):
        return
    if _pull(wanted[0]):
        for image in (*wanted[1:], GRAFANA):
            docker("pull", "--quiet", image, timeout=600)
        return
    _import_base()
    _build(wanted[0], _PYTHON, scratch / "python", {"certificates.crt": _certificates()})
    programs = binaries.ensure()
    for name, tool in (("prometheus", "promtool"), ("alertmanager", "amtool")):
        files = {
            f"programs/{name}": programs[name],
            f"programs/{tool}": programs[tool],
            "templates": _templates(programs),
        }
        _build(names[name]["image"], _SERVER.format(name=name), scratch / name, files)


def _pull(image: str) -> bool:
    try:
        docker("pull", "--quiet", image, timeout=_PULL_SECONDS)
    except LabError:
        return False
    return True


def _import_base() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "labkit-tests")
    cache.mkdir(parents=True, exist_ok=True)
    tar = cache / "bookworm-1.tar"
    with file_lock(cache / "lock", "making a base system", timeout=900):
        if not tar.exists():
            fresh = cache / "fresh.tar"
            packages = "--include=ca-certificates,busybox,python3,python3-venv"
            slim = "--customize-hook=rm -rf " + " ".join(f'"$1"/{path}' for path in _LEFT_OUT)
            command = ["mmdebstrap", "--variant=minbase", packages, slim, "bookworm", str(fresh)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
            fresh.rename(tar)
    path = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
    docker("import", f"--change={path}", str(tar), "debian:bookworm-slim", timeout=600)


def _build(image: str, dockerfile: str, folder: Path, files: dict[str, Path]) -> None:
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore_dangling_symlinks=True)
        else:
            shutil.copy(source, target)
    (folder / "Dockerfile").write_text(dockerfile)
    docker("build", "--quiet", "--tag", image, str(folder), timeout=600)


def _templates(programs: dict[str, Path]) -> Path:
    """Return the folder of Debian's Alertmanager's templates: beside an unpacked package, else in the system."""
    beside = programs["alertmanager"].resolve().parents[1] / "share" / "prometheus"
    return beside if beside.is_dir() else Path("/usr/share/prometheus")


def _certificates() -> Path:
    """Return the certificates that this machine trusts: inside a build the same package index answers."""
    named = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    return Path(named)


def compose_command() -> list[str]:
    """Return ``docker compose`` where there is one, else the older ``docker-compose``."""
    newer = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    return ["docker", "compose"] if newer else ["docker-compose"]


def inspect_all(*filters: str) -> list[dict]:
    """Return what the engine knows of all containers with these filters, ended ones too."""
    ids = docker("ps", "--all", "--quiet", *(f"--filter={each}" for each in filters)).split()
    return json.loads(docker("container", "inspect", *ids)) if ids else []
