"""Look at the machine and the lab as a colleague would, and name for each problem the command that mends it."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from labkit.errors import LabError
from labkit.lab import JOBS, Lab
from labkit.stack.binaries import NAMES, find
from labkit.stack.servers import running

__all__ = ["Finding", "examine"]

_ENOUGH_DISK_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """What one check found; ``remedy`` is a command, empty where all is well."""

    check: str
    ok: bool
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return the finding as JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        line = f"{'ok ' if self.ok else 'BAD'}  {self.check}: {self.found}"
        return f"{line}\n     mend it: {self.remedy}" if self.remedy else line


def examine(lab: Lab | None = None) -> list[Finding]:
    """Return what every check found, in the order in which problems should be mended."""
    lab = lab or Lab.attach()
    findings: list[Finding] = []
    for check in (_python, _libraries, _servers, _disk, _folder, _stack, _loop):
        try:
            findings += check(lab)
        except LabError as error:
            findings.append(Finding(check.__name__.strip("_"), False, error.problem, error.remedy))
    return findings


def _python(_lab: Lab) -> Iterator[Finding]:
    enough = sys.version_info >= (3, 11)
    remedy = "" if enough else "make clean && make PYTHON=/path/to/python3.11-or-newer setup"
    yield Finding("python", enough, sys.version.split()[0], remedy)


def _libraries(_lab: Lab) -> Iterator[Finding]:
    bad = []
    for requirement in map(Requirement, requires("labkit") or []):
        if requirement.marker is None:  # the extras are for tests
            try:
                if not requirement.specifier.contains(version(requirement.name), prereleases=True):
                    bad.append(f"{requirement.name} {version(requirement.name)}, wanted {requirement.specifier}")
            except PackageNotFoundError:
                bad.append(f"{requirement.name} is missing")
    yield Finding("libraries", not bad, "; ".join(bad) or "all there", "rm -rf .venv && make setup" if bad else "")


def _servers(_lab: Lab) -> Iterator[Finding]:
    for name in NAMES:
        path = find(name)
        yield Finding(name, path is not None, str(path or "not found"), "" if path else "make setup")


def _disk(lab: Lab) -> Iterator[Finding]:
    place = next(folder for folder in (lab.home.root, *lab.home.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _ENOUGH_DISK_BYTES
    remedy = "" if enough else "labkit down --purge  (deletes this lab's data), or make room on the disk"
    yield Finding("disk", enough, f"{free / 1e9:.0f} GB free", remedy)


def _folder(lab: Lab) -> Iterator[Finding]:
    if not lab.home.exists():
        yield Finding("folder", True, f"{lab.home.root} does not exist yet")
        return
    open_to_others = [
        path
        for path in (lab.home.root, lab.home.predictions, lab.home.retraining, *lab.home.secrets.glob("*"))
        if path.exists() and path.stat().st_mode & 0o077
    ]
    found = ", ".join(map(str, open_to_others)) + " can be read by others" if open_to_others else "private"
    remedy = f"chmod go= {' '.join(map(str, open_to_others))}" if open_to_others else ""
    yield Finding("folder", not open_to_others, found, remedy)


def _stack(lab: Lab) -> Iterator[Finding]:
    if not running(lab.home):
        yield Finding("stack", True, "is not running; labkit up starts it")
        return
    for service in lab.status().services:
        ok = service.state == "ready"
        remedy = "" if ok else f"labkit up  (then, if it stays so: tail {lab.home.logs / service.name}.log)"
        yield Finding(service.name, ok, f"{service.state} {service.url}".strip(), remedy)


def _loop(lab: Lab) -> Iterator[Finding]:
    """Follow the hops from the model's metrics to a message."""
    if not running(lab.home):
        return
    targets = lab.prometheus.targets()
    down = targets[(targets["health"] != "up") & targets["job"].isin(JOBS)]["job"].tolist()
    found = f"{', '.join(down)} cannot be scraped" if down else "every target is up"
    yield Finding("scrapes", not down, found, "labkit up" if down else "")
    connected = lab.prometheus.finds_alertmanager()
    found = "Prometheus has its Alertmanager" if connected else "Prometheus finds no Alertmanager"
    yield Finding("alerting", connected, found, "" if connected else "labkit up")
