"""Write the copies of ``docker/`` that the local servers run: in lab time, with this lab's ports, secrets and paths."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from labkit.clock import Clock
from labkit.errors import ConfigurationError, InputError, LabError
from labkit.stack.files import write_private
from labkit.stack.home import Home
from labkit.stack.timescale import scale_config, scale_dashboard

__all__ = ["config_dir", "read_dashboard", "render"]

# Those of libyaml, where PyYAML was built with it, are seven times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

# The addresses that servers have among containers, and the name of the port that each has in a home.
_ADDRESSES = {
    "model:8000": "model",
    "retrainer:8001": "retrainer",
    "inbox:8002": "inbox",
    "inbox:2525": "smtp",
    "prometheus:9090": "prometheus",
    "alertmanager:9093": "alertmanager",
    "grafana:3000": "grafana",
}
_ADDRESS = re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*:\d+)\b")
_CONTAINER_PATH = re.compile(r"(?<![\w.-])/(?:etc|run)/\S*")
_SECRET = re.compile(r"/run/secrets/([\w.-]+)")


def config_dir() -> Path:
    """Return the folder ``docker/``: that of the repository, or the one that an installed labkit carries."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "docker", package / "docker"):
        if (folder / "prometheus" / "prometheus.yml").is_file():
            return folder
    raise ConfigurationError(f"labkit in {package} lacks its docker/ folder", "install labkit again")


def read_dashboard(name: str) -> dict[str, Any]:
    """Return the dashboard ``name`` as ``docker/`` has it, in production time; raises InputError for an unknown one."""
    folder = config_dir() / "grafana" / "dashboards"
    names = sorted(path.stem for path in folder.glob("*.json"))
    if name not in names:
        raise InputError(f"there is no dashboard {name!r}", _known("dashboards", names))
    return json.loads((folder / f"{name}.json").read_text())


def render(home: Home, clock: Clock, source: Path | None = None) -> None:
    """Write Prometheus's and Alertmanager's files from ``source`` (config_dir by default) into ``home.rendered``.

    Unchanged files are not touched; files that the source no longer has are deleted. Raises
    ConfigurationError that names the file and the value which cannot be brought into the lab.
    """
    source = source or config_dir()
    written = {home.rendered / path.relative_to(source): _rendered(path, home, clock) for path in _files(source)}
    for path, text in written.items():
        for folder in reversed(path.relative_to(home.rendered).parents):  # `parents=True` would leave these readable
            (home.rendered / folder).mkdir(mode=0o700, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            write_private(path, text)
    for path in home.rendered.rglob("*"):
        if path.is_file() and path not in written:
            path.unlink()


def _files(source: Path) -> list[Path]:
    patterns = ("prometheus/*.yml", "prometheus/rules/*.yml", "prometheus/targets/*.json")
    grafana = ("grafana/provisioning/**/*.yml", "grafana/dashboards/*.json")
    return [path for pattern in (*patterns, *grafana, "alertmanager/**/*.*") for path in sorted(source.glob(pattern))]


def _rendered(path: Path, home: Home, clock: Clock) -> str:
    try:
        text = path.read_text()
        if path.suffix == ".json":
            content = json.loads(text)
            if path.parent.name == "dashboards":
                content = _localized_dashboard(scale_dashboard(content, clock.speed), home)
            else:
                content = _localized(content, home)
            return json.dumps(content, indent=2) + "\n"
        if path.suffix != ".yml":
            return text
        config = scale_config(yaml.load(text, _Loader) or {}, clock.speed)
        if path.parent.name != "rules":  # rules name no address; their text is for people
            config = _localized(config, home)
    except LabError as error:
        raise ConfigurationError(f"{path}: {error.problem}", error.remedy) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", f"mend {path}") from error
    head = f"# Rendered from {path} for lab time at {clock.speed:g}x: change that file, not this one.\n"
    return head + yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def _localized(value: Any, home: Home) -> Any:
    if isinstance(value, dict):
        return {key: _localized(each, home) for key, each in value.items()}
    if isinstance(value, list):
        return [_localized(each, home) for each in value]
    return _localized_text(value, home) if isinstance(value, str) else value


def _localized_dashboard(value: Any, home: Home) -> Any:
    """Point the links of a dashboard, which a browser follows, at this lab's ports."""
    if isinstance(value, dict):
        return {
            key: _browsed(each, home) if key == "url" and isinstance(each, str) else _localized_dashboard(each, home)
            for key, each in value.items()
        }
    return [_localized_dashboard(each, home) for each in value] if isinstance(value, list) else value


def _browsed(url: str, home: Home) -> str:
    ports = {address.split(":")[1]: home.ports.get(name) for address, name in _ADDRESSES.items()}
    return re.sub(r"//localhost:(\d+)", lambda match: f"//127.0.0.1:{ports.get(match[1]) or match[1]}", url)


def _localized_text(text: str, home: Home) -> str:
    for name in _SECRET.findall(text):
        if not (home.secrets / name).is_file():
            raise ConfigurationError(f"there is no secret {name!r} for {text!r}", _known("secrets", _names(home)))
    return _CONTAINER_PATH.sub(lambda match: _path(match[0], home), _ADDRESS.sub(_address(home), text))


def _address(home: Home) -> Callable[[re.Match[str]], str]:
    def local(match: re.Match[str]) -> str:
        if match[1].startswith("localhost:"):
            return match[0]
        if match[1] not in _ADDRESSES:
            raise ConfigurationError(f"no server of the lab is called {match[1]!r}", _known("servers", _ADDRESSES))
        return f"127.0.0.1:{home.ports[_ADDRESSES[match[1]]]}"

    return local


def _path(path: str, home: Home) -> str:
    places = {
        "/run/secrets/": home.secrets,
        "/etc/prometheus/": home.rendered / "prometheus",
        "/etc/alertmanager/": home.rendered / "alertmanager",
        "/etc/grafana/": home.rendered / "grafana",
    }
    for prefix, folder in places.items():
        if path.startswith(prefix):
            return f"{folder}/{path.removeprefix(prefix)}"
    raise ConfigurationError(f"the path {path!r} exists in containers only", _known("folders", places))


def _names(home: Home) -> list[str]:
    return sorted(path.name for path in home.secrets.iterdir())


def _known(what: str, names: Iterable[str]) -> str:
    return f"choose among the {what} {', '.join(names)}"
