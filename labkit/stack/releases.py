"""Official releases of the servers: which versions, their checksums, and where each checksum was read.

A version enters this table only with a checksum copied from a public file that was read; what could not be read is left
out, and the package manager's command is named instead.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabError
from labkit.stack.download import download, unpack

__all__ = ["RELEASES", "Release", "fetch", "this_platform"]


@dataclass(frozen=True)
class Release:
    """One version of a server: the SHA-256 of its archive for each platform, and which programs are in it.

    ``url`` holds ``{platform}``, such as ``linux-amd64``; ``programs`` are paths below the archive's one folder.
    """

    name: str
    version: str
    url: str
    programs: tuple[str, ...]
    sha256: Mapping[str, str]
    read_from: str

    def address(self, on: str) -> str:
        """Return where the archive for a platform is; ``LABKIT_MIRROR`` names a server that has it too."""
        address = self.url.format(platform=on)
        mirror = os.environ.get("LABKIT_MIRROR")
        return f"{mirror.rstrip('/')}/{address.rpartition('/')[2]}" if mirror else address


_GITHUB = "https://github.com/prometheus"

RELEASES = {
    release.name: release
    for release in (
        Release(
            "prometheus",
            "3.15.0",
            f"{_GITHUB}/prometheus/releases/download/v3.15.0/prometheus-3.15.0.{{platform}}.tar.gz",
            ("prometheus", "promtool"),
            {
                "linux-amd64": "2a542df32eac02ee17b9d844fb2aa1de00dafa5476579ba8a3ba862e9d572ea0",
                "linux-arm64": "f1f90ec08e849d494ca66c611470afc50192f0355f1a61c33f2cbde02d067823",
                "darwin-amd64": "2d79e744c2d7e505db936fbc898e05abc74fcb6e437c25befd26e9c9f00aa58b",
                "darwin-arm64": "920df4d17e78b3b0175af144eb318b0c74d1cf7b1d1251b326966f0e81977260",
            },
            "ncecere/grounded deploy/observability/scripts/install-promtool.sh, from sha256sums.txt",
        ),
        Release(
            "alertmanager",
            "0.34.1",
            f"{_GITHUB}/alertmanager/releases/download/v0.34.1/alertmanager-0.34.1.{{platform}}.tar.gz",
            ("alertmanager", "amtool"),
            {
                "linux-amd64": "265b9d1e55ef0d5306a436018af6d2b686c2ce051f03d968f7464ecb1372a7e8",
                "linux-arm64": "d98d6cbaf52151c7e76e24355fec88b11cebcb9875d4cdd8b76ddce7a7e5535c",
                "darwin-amd64": "9f3a3806c81a2ef3546fea9bae3dd39abcf2206edd112c9433133a9355875fce",
                "darwin-arm64": "a3941879f340ef12a4cc1a479c82bd8520611265ea8d1ee25c88bd5f944d8293",
            },
            "pgsty/homebrew-infra Formula/alertmanager.rb",
        ),
        Release(
            "grafana",
            "13.2.3",
            "https://dl.grafana.com/oss/release/grafana-13.2.3.{platform}.tar.gz",
            ("bin/grafana",),
            {
                "linux-amd64": "6107ad27016296aac38e0d7ffa8753ab540b5541ad27e94790f771289d733235",
                "linux-arm64": "a2a41b960ba4c25e83140484e48813730d3c81891a128439a2a9d2df6eb3840e",
            },  # macOS's were not to be read: brew install grafana
            "yotamleo/Himmel scripts/observability/install-grafana.sh, from the archive's .sha256",
        ),
    )
}


def this_platform() -> str:
    """Return this machine's platform as the releases call it, such as ``linux-amd64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def fetch(release: Release, scratch: Path, on: str | None = None) -> Path:
    """Download, verify and unpack a release into ``scratch``, and return its folder; its programs run here.

    An archive that broke off stays in ``scratch`` and is gone on with. Raises LabError.
    """
    on = on or this_platform()
    if on not in release.sha256:
        raise LabError(f"no checksum of {release.name} {release.version} for {on} is known", "use your package manager")
    address = release.address(on)
    archive = scratch / address.rpartition("/")[2]
    download(address, archive, release.sha256[on])
    folder = unpack(archive, scratch / f"{release.name}-unpacked")
    archive.unlink()
    for program in release.programs:
        _prove(folder / program)
    return folder


def _prove(program: Path) -> None:
    try:
        subprocess.run([program, "--version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise LabError(f"{program.name} does not run here: {error}", "use your package manager") from error
