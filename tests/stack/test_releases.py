"""Fetching official releases, from a server of our own that behaves as badly as networks do."""

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labkit.errors import LabError, StartError
from labkit.stack import binaries, releases
from labkit.stack.download import Unreachable, download, unpack
from labkit.stack.releases import RELEASES, Release, fetch

SCRIPT = b"#!/bin/sh\necho fine\n"
PADDING = 400_000  # more than one block


class Mirror:
    """A server of files; ``breaks`` says after how many bytes each of the next answers breaks off."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: list[int] = []
        self.asked_from: list[int] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            request.send_error(404)
            return
        start = int(re.sub(r"\D", "", request.headers.get("Range", "0")))
        self.asked_from.append(start)
        if start >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        end = start + self.breaks.pop(0) if self.breaks else len(content)
        request.wfile.write(content[start:end])
        request.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    yield mirror
    mirror.close()


def archive(folder: str, *programs: str, extra: tarfile.TarInfo | None = None) -> bytes:
    """Return a release: one folder with programs that say that they are fine, and some weight."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=0) as tar:
        for name, content in [*((each, SCRIPT) for each in programs), ("weight", bytes(PADDING))]:
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        if extra:
            tar.addfile(extra)
    return stream.getvalue()


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def served(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> dict[str, Release]:
    """Small releases of both servers, on the mirror that LABKIT_MIRROR names."""
    monkeypatch.setenv("LABKIT_MIRROR", mirror.url)
    table = {}
    for name, programs in (("prometheus", ("prometheus", "promtool")), ("alertmanager", ("alertmanager", "amtool"))):
        content = archive(f"{name}-1", *programs)
        mirror.files[f"{name}-1.tar.gz"] = content
        here = {releases.this_platform(): checksum(content)}
        table[name] = Release(name, "1", f"https://invalid.invalid/{name}-1.tar.gz", programs, here, "this test")
    monkeypatch.setattr(binaries, "RELEASES", table)
    return table


def test_a_release_is_verified_unpacked_and_runs(served: dict[str, Release], tmp_path: Path) -> None:
    folder = fetch(served["prometheus"], tmp_path)
    assert {path.name for path in folder.iterdir()} == {"prometheus", "promtool", "weight"}


def test_a_download_that_breaks_off_goes_on_where_it_was(mirror: Mirror, tmp_path: Path) -> None:
    content = archive("a", "program")
    mirror.files["a.tar.gz"] = content
    mirror.breaks = [100_000, 200_000]
    download(f"{mirror.url}/a.tar.gz", tmp_path / "a", checksum(content))
    assert (tmp_path / "a").read_bytes() == content
    assert mirror.asked_from == [0, 100_000, 300_000]


def test_what_another_run_left_is_gone_on_with(mirror: Mirror, tmp_path: Path) -> None:
    content = archive("a", "program")
    mirror.files["a.tar.gz"] = content
    (tmp_path / "a.part").write_bytes(content[:50_000])
    download(f"{mirror.url}/a.tar.gz", tmp_path / "a", checksum(content))
    assert mirror.asked_from == [50_000]
    assert (tmp_path / "a").read_bytes() == content


def test_a_server_that_goes_in_the_middle_leaves_what_came(mirror: Mirror, tmp_path: Path) -> None:
    content = archive("a", "program")
    mirror.files["a.tar.gz"] = content
    mirror.breaks = [10_000] * 5
    with pytest.raises(LabError, match="broke off") as raised:
        download(f"{mirror.url}/a.tar.gz", tmp_path / "a", checksum(content))
    assert raised.value.remedy == "run the command again"
    assert [path.name for path in tmp_path.iterdir()] == ["a.part"]
    assert (tmp_path / "a.part").read_bytes() == content[:50_000]


def test_a_wrong_checksum_is_never_opened_and_the_file_is_deleted(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["a.tar.gz"] = archive("a", "program")
    with pytest.raises(LabError, match="SHA-256"):
        download(f"{mirror.url}/a.tar.gz", tmp_path / "a", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_told_from_a_bad_one(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(Unreachable, match="LABKIT_MIRROR"):
        download(f"http://127.0.0.1:{free_port}/a.tar.gz", tmp_path / "a", "0" * 64)


def test_a_missing_file_is_unreachable_too(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="404"):
        download(f"{mirror.url}/a.tar.gz", tmp_path / "a", "0" * 64)


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    "member",
    [tarfile.TarInfo("a/../../escaped"), link("a/link", "../../outside"), link("a/passwd", "/etc/passwd")],
    ids=["a path upwards", "a link upwards", "a link to an absolute path"],
)
def test_an_archive_cannot_leave_its_folder(tmp_path: Path, member: tarfile.TarInfo) -> None:
    (tmp_path / "a.tar.gz").write_bytes(archive("a", "program", extra=member))
    with pytest.raises(LabError, match="not unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "in" / "here")
    assert [path.name for path in tmp_path.rglob("*")] in (["a.tar.gz", "in"], ["in", "a.tar.gz"])


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(archive("a", "program")[: -PADDING // 2])
    with pytest.raises(LabError, match="not unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "in")


def test_programs_that_do_not_run_here_are_refused(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive("a-1")
    mirror.files["a-1.tar.gz"] = content
    monkeypatch.setenv("LABKIT_MIRROR", mirror.url)
    release = Release(
        "a", "1", "https://invalid.invalid/a-1.tar.gz", ("weight",), {"x": checksum(content)}, "this test"
    )
    with pytest.raises(LabError, match="does not run here"):
        fetch(release, tmp_path, on="x")


def test_releases_go_before_packages(
    served: dict[str, Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = binaries.ensure()
    assert {path.parent for path in found.values()} == {tmp_path / "cache" / "labkit" / "usr" / "bin"}
    assert sorted(path.name for path in (tmp_path / "cache" / "labkit").iterdir()) == ["lock", "usr"]


@pytest.mark.usefixtures("served")
def test_a_tampered_release_ends_the_search(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    mirror.files["prometheus-1.tar.gz"] += b"more"
    with pytest.raises(StartError, match="SHA-256"):
        binaries.ensure()


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "grafana"])
def test_every_checksum_of_the_table_names_the_file_that_it_was_read_from(name: str) -> None:
    release = RELEASES[name]
    assert release.version in release.url
    assert release.read_from
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in release.sha256.values())
    assert set(release.sha256) <= {"linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"}
    assert len(set(release.sha256.values())) == len(release.sha256)
