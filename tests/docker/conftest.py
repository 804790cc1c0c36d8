"""The stack's configuration as the tests read it: alerts, their test cases, and a way to run promtool."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from engine import NoEngine, open_engine, provide_images

from labkit.stack.engine import docker as run_docker
from labkit.stack.images import labkit_image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def docker() -> Path:
    """The folder of the stack's configuration."""
    return ROOT / "docker"


@pytest.fixture(scope="session")
def runbooks() -> str:
    """The text of the runbooks."""
    return (ROOT / "docs" / "runbooks.md").read_text()


@pytest.fixture(scope="session")
def rules(docker: Path) -> list[dict]:
    """Every rule of every file."""
    files = [yaml.safe_load(path.read_text()) for path in sorted((docker / "prometheus/rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def alerts(rules: list[dict]) -> dict[str, dict]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


@pytest.fixture(scope="session")
def cases(docker: Path) -> list[dict]:
    """Every case that promtool runs."""
    return [
        case
        for path in sorted((docker / "prometheus/tests").glob("*.yml"))
        for case in yaml.safe_load(path.read_text())["tests"]
    ]


@pytest.fixture(scope="session")
def run(binaries: dict[str, Path]) -> Callable[..., subprocess.CompletedProcess]:
    """Run promtool or amtool by name, with arguments."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess:
        command = [str(binaries[name]), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A container engine with the images of the stack, labkit's own included."""
    try:
        with open_engine():
            provide_images(tmp_path_factory.mktemp("images"))
            where = ["--file", str(ROOT / "docker" / "Dockerfile"), "--target=labkit", "--network=host"]
            tags = [f"--tag={name}" for name in (labkit_image(), "labkit")]
            run_docker("build", *where, *tags, str(ROOT), timeout=1800)
            yield
    except NoEngine as reason:
        pytest.skip(str(reason))
