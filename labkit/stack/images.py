"""The images of the stack: upstream's as ``docker/compose.yaml`` pins them; labkit's own, built when code changes."""

import hashlib
from functools import cache
from pathlib import Path

import yaml

from labkit.errors import StartError
from labkit.stack.engine import docker, has_image
from labkit.stack.render import config_dir

__all__ = ["ensure_images", "image_of", "labkit_image"]

_UPSTREAM = ("prometheus", "alertmanager", "grafana")
_BUILD_SECONDS = 1800  # a slow network brings half a gigabyte of libraries


def image_of(service: str) -> str:
    """Return the image that a service of the stack runs in."""
    return _pinned(service) if service in _UPSTREAM else labkit_image()


@cache
def labkit_image() -> str:
    """Return the name of labkit's image; its tag is made from all that goes into it."""
    digest = hashlib.sha256()
    for path in sorted(_ingredients()):
        digest.update(path.name.encode() + path.read_bytes())
    return f"labkit:{digest.hexdigest()[:12]}"


def ensure_images() -> list[str]:
    """Build or pull what the engine lacks; returns a sentence for each image that the lab does without.

    Raises StartError when an image that it cannot do without is not to be had.
    """
    if not has_image(labkit_image()):
        _build(labkit_image())
    for service in ("prometheus", "alertmanager"):
        if not has_image(image_of(service)):
            docker("pull", "--quiet", image_of(service), timeout=_BUILD_SECONDS)
    if has_image(image_of("grafana")):
        return []
    try:
        docker("pull", "--quiet", image_of("grafana"), timeout=_BUILD_SECONDS)
    except StartError as error:
        return [f"no Grafana: its image {image_of('grafana')} cannot be pulled: {error.problem.splitlines()[-1]}"]
    return []


@cache
def _pinned(service: str) -> str:
    return yaml.safe_load((config_dir() / "compose.yaml").read_text())["services"][service]["image"]


def _build(image: str) -> None:
    root = config_dir().parent
    if not (root / "pyproject.toml").is_file():
        raise StartError(
            f"there is no image {image}, and no sources to build it from", "run labkit from a clone of its repository"
        )
    dockerfile = str(root / "docker" / "Dockerfile")
    docker("build", "--file", dockerfile, "--target", "labkit", "--tag", image, str(root), timeout=_BUILD_SECONDS)


def _ingredients() -> list[Path]:
    docker_folder, package = config_dir(), Path(__file__).parents[1]
    files = [docker_folder / "Dockerfile", docker_folder / "build_image.py", docker_folder.parent / "pyproject.toml"]
    return [path for path in [*files, *package.rglob("*.py"), *package.rglob("*.csv")] if path.is_file()]
