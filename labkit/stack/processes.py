"""Start, find and stop the lab's servers, which outlive the program that started them.

A server carries its lab's folder and its own name in its environment. That is how it is found again: no
file of process ids can be lost, be stale, or name a stranger that got the same id.
"""

import os
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from labkit.clock import wait_until
from labkit.errors import StartError, WaitTimeout
from labkit.stack.home import Home

__all__ = ["Service", "listening", "running", "start", "stop"]

_HOME_MARK, _NAME_MARK = "LABKIT_HOME", "LABKIT_SERVICE"
_DEATH_SECONDS = 10  # what the system may take to end a killed process, however impatient the caller


@dataclass(frozen=True)
class Service:
    """One server: its command line, the ports it listens on, and when it is ready.

    It counts as started once it listens on all of ``ports`` itself and ``ready()`` is true. It runs in ``cwd``, by
    default the lab's folder.
    """

    name: str
    command: Sequence[str]
    ports: Collection[int]
    ready: Callable[[], bool]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def start(services: Collection[Service], home: Home, timeout: float = 120, *, last: Collection[str] = ()) -> list[str]:
    """Start those of ``services`` that do not run yet, side by side, and wait until all are ready.

    Those named ``last`` are suspended as soon as they are ready, and go on when the others are. Returns the names of
    those started. Raises StartError with the end of the log of a server that failed; then none of those that this
    call started is left running.
    """
    with home.lock():
        alive = running(home)
        missing = [service for service in services if service.name not in alive]
        try:
            started = {service.name: _launch(service, home) for service in missing}
            for service in sorted(missing, key=lambda service: service.name not in last):
                _await(service, started[service.name], home, timeout)
                if service.name in last:
                    _suspend(service, started[service.name], home)
            # Those that ran already as well: who started them may have been killed before it came here.
            for name, process in running(home).items():
                if name in last:
                    with suppress(psutil.NoSuchProcess):  # whoever waits for it hears that it is gone
                        process.resume()
        except BaseException:
            stop(home, [service.name for service in missing])
            raise
    return [service.name for service in missing]


def running(home: Home) -> dict[str, psutil.Process]:
    """Return the lab's servers that run now, by name, whoever started them."""
    found: dict[str, psutil.Process] = {}
    for name, process in _marked(home):
        # A child of a server carries its marks too; the server is the older one.
        if name not in found or process.create_time() < found[name].create_time():
            found[name] = process
    return found


def stop(home: Home, names: Collection[str] | None = None, patience: float = 10) -> list[str]:
    """End the servers ``names`` (all of them by default) and return when they are gone.

    They are asked to end; those that have not after ``patience`` seconds are killed. Returns the names of the ended.
    """
    if not home.exists():
        return []
    with home.lock():
        doomed = [(name, process) for name, process in _marked(home) if names is None or name in names]
        stubborn = _end([process for _, process in doomed], psutil.Process.terminate, patience)
        left = _end(stubborn, psutil.Process.kill, _DEATH_SECONDS)
    if left:
        ids = " ".join(str(process.pid) for process in left)
        raise StartError(f"processes {ids} do not end, even when killed", f"look at them: ps -fp {ids}")
    return sorted({name for name, _ in doomed})


def listening(home: Home) -> dict[str, set[tuple[str, int]]]:
    """Return the (address, port) of every listening TCP socket of each running server, as the system has them."""
    return {name: _sockets(process) for name, process in running(home).items()}


def _launch(service: Service, home: Home) -> subprocess.Popen:
    log = _log(service.name, home)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))  # of the run before, which may have crashed
    local = ",".join(filter(None, ("127.0.0.1", "localhost", os.environ.get("NO_PROXY"))))
    env = {**os.environ, **service.env, "NO_PROXY": local, "no_proxy": local}
    env |= {_HOME_MARK: str(home.root), _NAME_MARK: service.name}
    log.touch(mode=0o600)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [*service.command],
                cwd=service.cwd or home.root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal, or a kernel's end, is not for the servers
                umask=0o077,
            )
        except OSError as error:
            raise StartError(f"{service.name} cannot be run: {error}", "run: labkit doctor") from error
    # Collects the exit status, so that a server that ends while its starter lives leaves no zombie.
    threading.Thread(target=process.wait, name=f"reap-{service.name}", daemon=True).start()
    return process


def _await(service: Service, process: subprocess.Popen, home: Home, timeout: float) -> None:
    def up() -> bool:
        # Another program may answer at our port, so being answered proves nothing: the socket must be the server's.
        if process.poll() is not None:
            return True
        listens_at = {port for _, port in _sockets(psutil.Process(process.pid))} if service.ports else set()
        return listens_at.issuperset(service.ports) and service.ready()

    try:
        wait_until(up, timeout, f"{service.name} to be ready", every=0.1)
    except (WaitTimeout, psutil.NoSuchProcess):
        pass
    else:
        if process.poll() is None:
            return
    code = process.poll()
    found = f"was not ready after {timeout:g} s" if code is None else f"ended with exit status {code}"
    raise _failure(service, found, home)


def _failure(service: Service, found: str, home: Home) -> StartError:
    taken = f" (it wants port {', '.join(map(str, service.ports))})" if service.ports else ""
    log = _log(service.name, home)
    return StartError(f"{service.name} {found}{taken}. The end of its log:\n{_tail(log)}", f"read all of it: {log}")


def _suspend(service: Service, process: subprocess.Popen, home: Home) -> None:
    try:
        psutil.Process(process.pid).suspend()
    except psutil.NoSuchProcess:
        raise _failure(service, f"ended with exit status {process.poll()}", home) from None


def _marked(home: Home) -> list[tuple[str, psutil.Process]]:
    found = []
    for process in psutil.process_iter():
        try:
            env = process.environ()
            if env.get(_HOME_MARK) == str(home.root) and _NAME_MARK in env:
                found.append((env[_NAME_MARK], process))
        except (psutil.AccessDenied, psutil.NoSuchProcess):  # others' processes; those that ended meanwhile
            continue
    return found


def _end(
    processes: Collection[psutil.Process], send: Callable[[psutil.Process], None], seconds: float
) -> list[psutil.Process]:
    """Signal ``processes`` and return those that still live after ``seconds``."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            send(process)
            process.resume()  # one that is suspended hears nothing
    with suppress(WaitTimeout):
        wait_until(lambda: not any(map(_lives, processes)), seconds, "servers to end")
    return [process for process in processes if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    # A zombie is over, even if nobody collects it: the first process of many a container never does. But its threads
    # may take longer to die, and hold its ports until then.
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def _sockets(process: psutil.Process) -> set[tuple[str, int]]:
    try:
        connections = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return set()
    return {(each.laddr.ip, each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN}


def _log(name: str, home: Home) -> Path:
    return home.logs / f"{name}.log"


def _tail(log: Path, lines: int = 15) -> str:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 8192))
        text = stream.read().decode(errors="replace")
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:]) or "  | (empty)"
