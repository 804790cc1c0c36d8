"""Steps of the Dockerfile that need more than a line: ``libraries`` installs them, ``slim`` drops what never runs."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

# Sources and source maps of compiled parts; all that is run stays.
_SOURCES = ("*.map", "*.c", "*.pyx", "*.pxd")


def libraries() -> None:
    """Install what pyproject.toml names, before labkit's own code is there."""
    needed = tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *needed], check=True)


def slim() -> None:
    """Remove tests, sources of compiled parts, the names of all the world's languages, and the installer."""
    packages = Path(sys.prefix, "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")
    # NumPy's own testing module, which others use, imports from its tests.
    tests = [folder for folder in packages.glob("**/tests") if "numpy" not in folder.parts]
    languages = [
        path for path in packages.glob("babel/locale-data/*.dat") if path.stem.split("_")[0] not in ("root", "en")
    ]
    for path in [*tests, *languages, *(path for pattern in _SOURCES for path in Path(sys.prefix).rglob(pattern))]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", "pip"], check=True)


if __name__ == "__main__":
    {"libraries": libraries, "slim": slim}[sys.argv[1]]()
