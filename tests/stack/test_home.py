import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import bcrypt
import pytest
import yaml

from labkit.errors import ConfigurationError, LabError, StartError
from labkit.stack.home import PORT_NAMES, Home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_constructing_a_home_writes_nothing(tmp_path):
    Home(tmp_path / ".lab")

    assert list(tmp_path.iterdir()) == []


def test_every_folder_is_0700_and_every_file_0600_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        home = Home(tmp_path / ".lab").create()
        home.choose_ports()
        with home.lock():
            pass
    finally:
        os.umask(before)

    entries = [home.root, *home.root.rglob("*")]
    assert len(entries) > 15
    assert {e: oct(mode(e)) for e in entries if mode(e) != (0o700 if e.is_dir() else 0o600)} == {}


def test_a_folder_left_open_to_others_is_closed_again(tmp_path):
    home = Home(tmp_path / ".lab").create()
    home.root.chmod(0o755)

    home.create()

    assert mode(home.root) == 0o700


def test_git_ignores_the_folder(home):
    assert "*" in (home.root / ".gitignore").read_text().splitlines()


def test_a_folder_with_other_files_is_refused_and_never_purged(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")

    with pytest.raises(ConfigurationError, match="holds other files"):
        Home(tmp_path).create()
    with pytest.raises(ConfigurationError, match="nothing was deleted"):
        Home(tmp_path).purge()
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_purge_deletes_the_folder_whole(tmp_path):
    home = Home(tmp_path / ".lab").create()
    home.choose_ports()

    home.purge()

    assert not home.root.exists()


class TestFinding:
    def test_the_environment_decides_first(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "elsewhere"))

        assert tmp_path / "elsewhere" == Home.find(tmp_path).root

    @pytest.mark.parametrize("mark", [".lab/x", "notebooks/00_start_here.ipynb", "pyproject.toml"])
    def test_a_notebooks_folder_finds_the_home_of_its_project(self, mark, tmp_path, monkeypatch):
        monkeypatch.delenv("LABKIT_HOME", raising=False)
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).write_text('name = "labkit"')
        (tmp_path / "notebooks" / "source").mkdir(parents=True)

        assert tmp_path / ".lab" == Home.find(tmp_path / "notebooks" / "source").root

    def test_another_projects_pyproject_is_passed_by(self, tmp_path, monkeypatch):
        monkeypatch.delenv("LABKIT_HOME", raising=False)
        (tmp_path / "pyproject.toml").write_text('name = "labkit"')
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "pyproject.toml").write_text('name = "other"')

        assert tmp_path / ".lab" == Home.find(tmp_path / "other").root


class TestPorts:
    def test_there_is_one_for_each_server_and_none_twice(self, home):
        assert set(PORT_NAMES) == set(home.ports)
        assert len(PORT_NAMES) == len(set(home.ports.values()))

    def test_they_stay_the_same_from_start_to_start(self, home):
        before = home.ports

        assert home.choose_ports() == []
        assert before == Home(home.root).ports

    def test_a_home_from_before_there_was_a_grafana_keeps_its_ports_and_gets_one_more(self, home):
        file = home.root / "ports.json"
        before = {name: port for name, port in home.ports.items() if name != "grafana"}
        file.write_text(json.dumps(before))

        assert before == home.ports
        assert home.choose_ports() == []
        assert before == {name: port for name, port in home.ports.items() if name != "grafana"}
        assert "grafana" in home.ports

    def test_a_port_that_another_program_took_is_replaced_with_a_message(self, home, listener):
        before = home.ports
        listener(before["model"])

        messages = home.choose_ports()

        assert before["model"] != home.ports["model"]
        assert {**before, "model": 0} == {**home.ports, "model": 0}
        assert [
            f"model moved from port {before['model']} to {home.ports['model']}: "
            f"another program listens on {before['model']}"
        ] == messages

    def test_a_port_that_our_own_server_holds_is_kept(self, home, listener):
        before = home.ports
        listener(before["model"])

        assert home.choose_ports(held={before["model"]}) == []
        assert before == home.ports

    def test_asking_before_the_first_start_says_what_to_run(self, tmp_path):
        with pytest.raises(StartError, match="labkit up"):
            _ = Home(tmp_path / ".lab").create().ports

    def test_a_damaged_file_is_named(self, home):
        (home.root / "ports.json").write_text("{")

        with pytest.raises(ConfigurationError, match=r"ports\.json"):
            _ = home.ports


class TestSecrets:
    def test_they_are_made_once(self, home):
        before = {path.name: path.read_text() for path in home.secrets.iterdir()}

        home.choose_ports()

        assert before == {path.name: path.read_text() for path in home.secrets.iterdir()}
        assert len(before) == len(set(before.values())) == 10

    def test_two_homes_share_none(self, home, tmp_path):
        other = Home(tmp_path / "other").create()
        other.choose_ports()

        for path in home.secrets.iterdir():
            assert path.read_text() != (other.secrets / path.name).read_text()

    def test_the_slack_url_follows_the_inbox_to_its_new_port(self, home, listener):
        listener(home.ports["inbox"])
        home.choose_ports()

        assert f"{home.url('inbox')}/slack/{home.secret('slack_token')}" == home.secret("slack_url")

    def test_alertmanagers_file_holds_a_hash_of_the_password_and_not_the_password(self, home):
        text = (home.secrets / "alertmanager_web.yml").read_text()
        hashed = yaml.safe_load(text)["basic_auth_users"]["labkit"]

        assert bcrypt.checkpw(home.secret("alertmanager_password").encode(), hashed.encode())
        assert home.secret("alertmanager_password") not in text

    def test_an_unknown_one_is_named(self, home):
        with pytest.raises(LabError, match="no secret 'nonsense'"):
            home.secret("nonsense")


HOLD_LOCK = """
import sys
from labkit.stack.home import Home
with Home(sys.argv[1]).lock():
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


class TestLock:
    @pytest.fixture
    def holder(self, home):
        command = [sys.executable, "-c", HOLD_LOCK, home.root]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "held\n"
            yield process
            process.kill()

    def test_a_second_process_is_refused_and_told_who_holds_it(self, home, holder):
        with pytest.raises(StartError, match=f"pid {holder.pid}"), home.lock():
            pass

    def test_a_killed_holder_frees_it(self, home, holder):
        holder.kill()
        holder.wait()

        with home.lock():
            pass

    def test_a_second_thread_is_refused(self, home):
        outcome = []

        def other():
            try:
                with home.lock():
                    outcome.append("entered")
            except StartError:
                outcome.append("refused")

        with home.lock():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert outcome == ["refused"]

    def test_it_may_be_nested_and_is_held_until_the_outer_block_ends(self, home):
        with home.lock():
            with home.lock():
                pass
            with pytest.raises(StartError), Home(home.root).lock():
                pass
        with Home(home.root).lock():
            pass
