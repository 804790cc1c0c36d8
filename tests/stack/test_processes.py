import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from labkit.clock import wait_until
from labkit.errors import StartError
from labkit.stack import processes
from labkit.stack.home import Home
from labkit.stack.ports import free_port as another_port
from labkit.stack.processes import Service


def web(port: int, name: str = "web") -> Service:
    """A small real web server."""
    return Service(name, [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], [port], yes)


def yes() -> bool:
    return True


def no() -> bool:
    return False


def script(text: str, ready: Callable[[], bool] = no) -> Service:
    return Service("script", [sys.executable, "-c", text], [], ready)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class TestStarting:
    def test_a_started_server_answers(self, home, free_port):
        assert processes.start([web(free_port)], home) == ["web"]

        assert httpx.get(f"http://127.0.0.1:{free_port}").is_success
        assert processes.listening(home) == {"web": {("127.0.0.1", free_port)}}

    def test_one_that_runs_is_not_started_again(self, home, free_port):
        processes.start([web(free_port)], home)
        before = processes.running(home)["web"].pid

        assert processes.start([web(free_port)], home) == []
        assert processes.running(home)["web"].pid == before

    def test_two_starts_at_once_make_one_server(self, home, free_port):
        outcomes = []

        def start():
            try:
                outcomes.append(processes.start([web(free_port)], Home(home.root)))
            except StartError as error:
                outcomes.append(error.problem)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert outcomes.count(["web"]) == 1
        others = [outcome for outcome in outcomes if outcome != ["web"]]
        assert all(outcome == [] or "is starting or stopping the lab" in outcome for outcome in others), others
        assert len(found_by_command_line(str(free_port))) == 1

    def test_it_reads_nothing_and_leads_a_session_of_its_own(self, home, free_port):
        processes.start([web(free_port)], home)

        pid = processes.running(home)["web"].pid
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")

    def test_proxies_of_the_environment_are_not_used_for_the_labs_servers(self, home, free_port, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
        monkeypatch.setenv("NO_PROXY", "intranet.invalid")

        processes.start([web(free_port)], home)

        env = processes.running(home)["web"].environ()
        assert env["NO_PROXY"] == env["no_proxy"] == "127.0.0.1,localhost,intranet.invalid"


class TestStartingLast:
    def test_it_stands_still_until_the_others_are_ready(self, home, free_port):
        states = []

        def ready() -> bool:
            states.append(processes.running(home)["web"].status())
            return True

        processes.start([script("import time; time.sleep(60)", ready), web(free_port)], home, last=["web"])

        assert states == [psutil.STATUS_STOPPED]
        assert httpx.get(f"http://127.0.0.1:{free_port}").is_success

    def test_it_goes_on_at_the_next_start_if_the_starter_was_killed(self, home, free_port):
        processes.start([web(free_port)], home)
        processes.running(home)["web"].suspend()

        assert processes.start([web(free_port)], home, last=["web"]) == []
        assert httpx.get(f"http://127.0.0.1:{free_port}").is_success

    def test_it_does_not_stay_when_another_fails(self, home, free_port):
        with pytest.raises(StartError):
            processes.start([web(free_port), script("raise SystemExit(1)")], home, last=["web"])

        assert found_by_command_line(str(free_port)) == []

    def test_it_is_named_when_it_ends_while_it_is_made_to_stand_still(self, home, free_port, monkeypatch):
        suspend = psutil.Process.suspend

        def die_first(process: psutil.Process) -> None:
            process.kill()
            wait_until(lambda: not psutil.pid_exists(process.pid), 20, "the server to be gone")
            suspend(process)

        monkeypatch.setattr(psutil.Process, "suspend", die_first)
        with pytest.raises(StartError, match="web ended with exit status"):
            processes.start([web(free_port)], home, last=["web"])

    def test_one_that_stands_still_ends_when_asked(self, home, free_port):
        processes.start([web(free_port)], home)
        web_server = processes.running(home)["web"]
        web_server.suspend()

        assert processes.stop(home, patience=30) == ["web"]
        assert not alive(web_server)


class TestFailing:
    def test_the_error_shows_the_end_of_the_log(self, home):
        service = script("import sys; print(*range(100), sep='\\n', flush=True); sys.exit('no such model')")

        with pytest.raises(StartError, match="ended with exit status 1") as raised:
            processes.start([service], home)

        assert "  | 99\n" in raised.value.problem
        assert "no such model" in raised.value.problem
        assert "  | 1\n" not in raised.value.problem
        assert str(home.logs / "script.log") in raised.value.remedy

    def test_the_others_of_the_same_start_do_not_stay(self, home, free_port):
        with pytest.raises(StartError):
            processes.start([web(free_port), script("raise SystemExit(1)")], home)

        assert found_by_command_line(str(free_port)) == []

    def test_what_ran_before_stays(self, home, free_port):
        processes.start([web(free_port)], home)

        with pytest.raises(StartError):
            processes.start([web(free_port), script("raise SystemExit(1)")], home)

        assert list(processes.running(home)) == ["web"]

    def test_a_program_that_is_not_there_is_named(self, home, free_port):
        with pytest.raises(StartError, match="ghost cannot be run"):
            processes.start([web(free_port), Service("ghost", ["/no/such/program"], [], yes)], home)

        assert found_by_command_line(str(free_port)) == []

    def test_a_port_that_another_program_answers_on_is_no_start(self, home, free_port):
        with subprocess.Popen(
            web(free_port).command, cwd=home.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as stranger:
            wait_until(lambda: answers(free_port), 10, "the stranger to answer")
            service = Service("web", web(free_port).command, [free_port], ready=lambda: answers(free_port))
            try:
                with pytest.raises(StartError, match=rf"port {free_port}(.|\n)*Address already in use"):
                    processes.start([service], home)
                assert stranger.poll() is None
            finally:
                stranger.kill()

    def test_one_that_never_gets_ready_is_ended(self, home, free_port):
        service = Service("web", web(free_port).command, [free_port], no)

        with pytest.raises(StartError, match=r"was not ready after 0\.5 s"):
            processes.start([service], home, timeout=0.5)

        assert processes.running(home) == {}


class TestOutlivingTheStarter:
    STARTER = """
import os, signal, sys
from labkit.stack import processes
from labkit.stack.home import Home
port = int(sys.argv[2])
command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
processes.start([processes.Service("web", command, [port], lambda: True)], Home(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""

    def kill_a_starter(self, home, port):
        command = [sys.executable, "-c", self.STARTER, str(home.root), str(port)]
        assert subprocess.run(command).returncode == -signal.SIGKILL

    def test_a_server_survives_the_kill_of_its_starter_and_is_found(self, home, free_port):
        self.kill_a_starter(home, free_port)

        assert answers(free_port)
        assert list(processes.running(home)) == ["web"]

    def test_the_next_start_attaches_to_it(self, home, free_port):
        self.kill_a_starter(home, free_port)

        assert processes.start([web(free_port)], home) == []

    def test_stop_leaves_nothing_of_it(self, home, free_port):
        self.kill_a_starter(home, free_port)

        assert processes.stop(home) == ["web"]
        assert found_by_command_line(str(free_port)) == []
        assert not answers(free_port)


class TestStopping:
    def test_only_the_named_ones_end(self, home, free_port):
        other = another_port({free_port})
        processes.start([web(free_port, "one"), web(other, "two")], home)

        assert processes.stop(home, ["one"]) == ["one"]
        assert list(processes.running(home)) == ["two"]

    def test_another_lab_is_left_alone(self, home, free_port, tmp_path):
        processes.start([web(free_port)], home)

        assert processes.stop(Home(tmp_path / "other").create()) == []
        assert answers(free_port)

    def test_one_that_ignores_the_request_is_killed(self, home):
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
        log = home.logs / "script.log"
        service = script(deaf + "while True: time.sleep(60)", ready=lambda: "deaf" in log.read_text())
        processes.start([service], home)
        process = processes.running(home)["script"]

        assert processes.stop(home, patience=0.2) == ["script"]
        assert not process.is_running()

    def test_children_of_a_server_end_with_it(self, home):
        text = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        log = home.logs / "script.log"
        service = script(text + "import time; time.sleep(60)", ready=lambda: log.read_text().strip().isdigit())
        processes.start([service], home)
        child = psutil.Process(int(log.read_text()))
        assert processes.running(home)["script"].pid != child.pid

        processes.stop(home)

        assert not alive(child)

    def test_one_that_its_parent_never_collects_counts_as_ended(self, home):
        text = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
        env = {"LABKIT_HOME": str(home.root), "LABKIT_SERVICE": "orphan"}
        text = f"import os; os.environ |= {env}; {text}"
        with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as parent:
            zombie = psutil.Process(int(parent.stdout.readline()))

            assert processes.stop(home, patience=1) == ["orphan"]

            assert zombie.status() == psutil.STATUS_ZOMBIE
            parent.kill()

    def test_one_that_dies_by_itself_leaves_no_zombie(self, home, free_port):
        processes.start([web(free_port)], home)
        process = processes.running(home)["web"]

        process.kill()

        wait_until(lambda: not psutil.pid_exists(process.pid), 5, "the dead server to be reaped")
        assert processes.running(home) == {}

    def test_stopping_where_nothing_ever_ran_is_no_error(self, tmp_path):
        assert processes.stop(Home(tmp_path / "never")) == []
        assert not (tmp_path / "never").exists()


class TestLogs:
    def test_the_log_of_the_run_before_is_kept(self, home):
        for word in ("first", "second", "third"):
            log = home.logs / "script.log"
            text = f"print({word!r}, flush=True)\nimport time; time.sleep(60)"
            processes.start([script(text, ready=log_has(log, word))], home)
            processes.stop(home)

        assert (home.logs / "script.log").read_text() == "third\n"
        assert (home.logs / "script.log.1").read_text() == "second\n"

    def test_logs_and_what_servers_write_are_private_whatever_the_umask(self, home):
        made = home.root / "made"
        before = os.umask(0)
        try:
            service = script(f"open({str(made)!r}, 'w')\nimport time; time.sleep(60)", ready=made.exists)
            processes.start([service], home)
        finally:
            os.umask(before)

        for path in (made, home.logs / "script.log"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def log_has(log, word):
    return lambda: word in log.read_text()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}", timeout=2).is_success
    except httpx.HTTPError:
        return False


def found_by_command_line(text: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if text in (process.info["cmdline"] or []) and alive(process):
            found.append(process)
    return found


def test_a_caller_without_patience_still_waits_until_the_killed_are_gone(home):
    log = home.logs / "script.log"
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    processes.start([script(deaf, ready=lambda: "deaf" in log.read_text())], home)

    assert processes.stop(home, patience=0) == ["script"]
    assert processes.running(home) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="a first thread that ends alone is Linux's")
def test_a_process_whose_threads_still_die_is_not_over_for_they_hold_its_ports():
    first_thread_ends = (
        "import ctypes, threading\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", first_thread_ends]) as child:
        process = psutil.Process(child.pid)
        try:
            wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 20, "the first thread to end")
            assert processes._lives(process)
        finally:
            child.kill()
        wait_until(lambda: not processes._lives(process), 20, "the other thread to end")
