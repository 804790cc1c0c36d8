"""Talk to a container engine through its command line, and say clearly what it said when it refuses."""

import json
import shutil
import subprocess
from typing import Any

from labkit.errors import StartError

__all__ = ["docker", "has_image", "inspect", "log_of"]


def docker(*arguments: str, problem: str = "", timeout: float = 120) -> str:
    """Run ``docker`` with ``arguments`` and return what it printed; raises StartError with its own words."""
    if not shutil.which("docker"):
        raise StartError("there is no docker command", "install Docker, or run: labkit up --backend processes")
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise StartError(f"docker {arguments[0]} took more than {timeout:g} s", "run: docker info") from error
    if done.returncode:
        said = "\n".join(text.strip()[-2000:] for text in (done.stdout, done.stderr) if text.strip())
        remedy = "start Docker, or run: labkit up --backend processes" if "daemon" in said else "run: docker info"
        raise StartError(f"{problem or 'docker ' + arguments[0] + ' failed'}: {said}", remedy)
    return done.stdout


def has_image(image: str) -> bool:
    """Say whether the engine has ``image`` already."""
    return bool(docker("image", "ls", "--quiet", image).strip())


def inspect(*containers: str) -> list[dict[str, Any]]:
    """Return what the engine knows of containers; those that are gone are left out."""
    if not containers:
        return []
    return json.loads(docker("container", "inspect", *containers))


def log_of(container: str, lines: int = 15) -> str:
    """Return the last lines that a container wrote."""
    command = ["docker", "logs", f"--tail={lines}", container]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return "\n".join(f"  | {line}" for line in done.stdout.decode(errors="replace").splitlines()) or "  | (empty)"
