import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from labkit.errors import StartError
from labkit.stack import binaries, processes
from labkit.stack.processes import Service

PROGRAMS = [alias for aliases in binaries.NAMES.values() for alias in aliases]
NOBODY = 65534
NOWHERE = "http://127.0.0.1:9"  # official releases are out of reach

ENSURE = """
import os, sys
import httpx
from labkit.stack import binaries
try:
    httpx.get(os.environ["LABKIT_MIRROR"])  # loads all that it needs while Python's own files may be read
except httpx.HTTPError:
    pass
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
for name, path in binaries.ensure().items():
    print(name, path)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a handful of programs on its PATH, none of the lab's servers, and an empty cache."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in ("sh", "touch", "mkdir", "chmod", "cp"):
        (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LABKIT_MIRROR", NOWHERE)
    return folder


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def archive(machine, tmp_path):
    """The machine with an apt-get and a dpkg-deb of our own, which note each call and unpack four small programs."""
    calls = tmp_path / "calls"
    calls.touch()
    put(machine, "apt-get", f'echo "$@" >> {calls}; case "$*" in *download*) touch a.deb;; esac')
    programs = "prometheus promtool prometheus-alertmanager amtool"
    unpack = f'for p in {programs}; do printf "#!/bin/sh\\n" > "$3/usr/bin/$p"; chmod 755 "$3/usr/bin/$p"; done'
    put(machine, "dpkg-deb", f'mkdir -p "$3/usr/bin"; {unpack}')
    return calls


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("apt-get"), reason="needs Debian's or Ubuntu's apt-get")
def test_an_empty_cache_is_filled_without_root_and_what_is_in_it_works(home):
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which only its owner may enter
        os.chown(folder, *((NOBODY, NOBODY) if os.getuid() == 0 else (-1, -1)))
        path = path_without_servers(Path(folder, "path"))
        env = {**os.environ, "XDG_CACHE_HOME": folder, "HOME": "/nonexistent", "PATH": str(path)}
        env["LABKIT_MIRROR"] = NOWHERE

        done = subprocess.run([sys.executable, "-c", ENSURE, str(NOBODY)], env=env, capture_output=True, text=True)

        assert done.returncode == 0, done.stderr
        found = {name: Path(path) for name, path in (line.split() for line in done.stdout.splitlines())}
        assert list(found) == list(binaries.NAMES)
        assert all(path.is_relative_to(folder) for path in found.values())
        assert sorted(path.name for path in Path(folder, "labkit").iterdir()) == ["lock", "usr"]
        assert_alertmanager_starts(found["alertmanager"], home)


def path_without_servers(folder: Path) -> Path:
    """Make a folder with links to all programs on PATH but the lab's servers."""
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(":")):
        for program in place.iterdir() if place.is_dir() else ():
            link = folder / program.name
            if program.name not in PROGRAMS and not link.is_symlink():
                link.symlink_to(program.absolute())
    return folder


def assert_alertmanager_starts(program, home):
    """Its templates are the part that a package unpacked elsewhere does not find by itself."""
    config = home.root / "alertmanager.yml"
    config.write_text("{route: {receiver: none}, receivers: [{name: none}]}")
    port = home.ports["alertmanager"]
    flags = [f"--config.file={config}", f"--storage.path={home.alertmanager_data}", "--cluster.listen-address="]
    command = [str(program), *flags, f"--web.listen-address=127.0.0.1:{port}"]
    processes.start([Service("alertmanager", command, [port], lambda: True, cwd=program.parent)], home)
    assert httpx.get(f"{home.url('alertmanager')}/-/ready").is_success
    processes.stop(home)


def test_programs_on_path_are_taken_and_nothing_is_fetched(archive, machine):
    for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):  # as Debian calls them
        put(machine, name, "")

    found = binaries.ensure()

    assert found["alertmanager"] == machine / "prometheus-alertmanager"
    assert {path.parent for path in found.values()} == {machine}
    assert archive.read_text() == ""


def test_upstreams_alertmanager_goes_before_debians(machine):
    put(machine, "prometheus-alertmanager", "")
    put(machine, "alertmanager", "")

    assert binaries.find("alertmanager") == machine / "alertmanager"


def test_what_is_nowhere_is_none(machine):
    assert machine.is_dir()
    assert {name: binaries.find(name) for name in binaries.NAMES} == dict.fromkeys(binaries.NAMES)


def test_the_second_time_nothing_is_fetched(archive):
    first = binaries.ensure()
    calls = archive.read_text()

    assert binaries.ensure() == first
    assert archive.read_text() == calls
    assert calls.count("download") == 1


def test_apt_is_given_lists_and_a_cache_of_our_own(archive, machine, tmp_path):
    put(machine, "apt-get", f'cp "$2" {tmp_path}/config.$3.$4; exit 1')

    with pytest.raises(StartError):
        binaries.ensure()

    config = (tmp_path / "config.-q.update").read_text()
    folder = str(tmp_path / "cache" / "labkit" / "fetch-")
    assert f'Dir::State "{folder}' in config
    assert f'Dir::Cache "{folder}' in config
    assert archive.read_text() == ""


def test_two_at_once_fetch_once(archive):
    command = [sys.executable, "-m", "labkit.stack.binaries"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    outputs = [process.communicate()[0] for process in both]

    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("prometheus: ")
    assert archive.read_text().count("download") == 1


def test_a_failed_fetch_says_what_apt_said_and_leaves_nothing(archive, machine, tmp_path):
    put(machine, "apt-get", "echo 'Could not resolve deb.invalid'; exit 100")

    with pytest.raises(StartError, match=r"Could not resolve deb\.invalid") as raised:
        binaries.ensure()

    assert "apt-get install prometheus prometheus-alertmanager" in raised.value.remedy
    assert [path.name for path in (tmp_path / "cache" / "labkit").iterdir()] == ["lock"]
    assert archive.read_text() == ""


def test_programs_that_do_not_run_here_are_not_kept(archive, machine, tmp_path):
    text = (machine / "dpkg-deb").read_text().replace('"#!/bin/sh\\n"', '"#!/bin/false\\n"')
    put(machine, "dpkg-deb", text)

    with pytest.raises(StartError):
        binaries.ensure()

    assert [path.name for path in (tmp_path / "cache" / "labkit").iterdir()] == ["lock"]
    assert archive.read_text().count("download") == 1


def test_without_apt_the_error_says_what_to_install(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.is_dir()

    with pytest.raises(StartError, match="no apt-get") as raised:
        binaries.ensure()
    assert "install Prometheus and Alertmanager" in raised.value.remedy
