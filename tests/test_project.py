"""The project's own promises: layers, light imports, one list of dependencies."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "labkit"

# A module may import its own layer and those above it in this list.
LAYERS = (
    {"errors", "clock", "plots", "files"},
    {"observe", "stack"},
    {"model"},
    {"simulate", "respond"},
    {"lab", "status"},
    {"demo", "doctor", "lint", "tournament", "timeline", "showing", "teach", "pytest_plugin"},
    {"cli"},
)
HEAVY = ("sklearn", "pandas", "starlette", "matplotlib", "scipy", "httpx", "numpy")


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part(module: str) -> str:
    """Return the folder or module right below labkit: labkit.stack.home -> stack."""
    return module.split(".")[1]


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return found | {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_nothing_imports_upward(path: Path) -> None:
    mine = path.relative_to(PACKAGE).with_suffix("").parts[0]
    others = {part(name) for name in imports(path) if name.startswith("labkit.")}
    upward = {name for name in others - {mine} if layer(name) > layer(mine)}
    assert upward == set()


def test_observe_knows_nothing_of_iris() -> None:
    assert [path.name for path in (PACKAGE / "observe").glob("*.py") if "iris" in path.read_text().lower()] == []


def test_only_stack_starts_processes() -> None:
    starters = {path.relative_to(PACKAGE).parts[0] for path in modules() if "subprocess" in imports(path)}
    assert starters == {"stack"}


def test_importing_labkit_loads_no_heavy_library_and_writes_nothing(tmp_path: Path) -> None:
    code = f"import sys, labkit, labkit.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def test_conda_and_pip_install_the_same() -> None:
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(line["pip"] for line in lines if isinstance(line, dict))
    conda = [line for line in lines if isinstance(line, str) and not re.match(r"python=|pip$", line)]
    found = [Requirement(line) for line in [*conda, *from_pip] if not line.startswith("--editable")]
    assert {canonicalize_name(each.name): str(each.specifier) for each in found} == {
        name: str(requirement.specifier) for name, requirement in requirements().items()
    }


def test_contributing_says_why_of_each_dependency() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in requirements() if f"| {name} |" not in text] == []


def test_every_library_that_is_imported_is_named() -> None:
    distributions = packages_distributions()
    used = {name.split(".")[0] for path in [*modules(), *ROOT.glob("notebooks/*.py")] for name in imports(path)}
    foreign = {name for name in used - sys.stdlib_module_names if name in distributions} - {"labkit"}
    assert {
        name for name in foreign if not set(map(canonicalize_name, distributions[name])) & set(requirements())
    } == set()


def test_every_dependency_has_a_lower_bound() -> None:
    assert [name for name, each in requirements().items() if not str(each.specifier).startswith(">=")] == []


def test_links_inside_the_repository_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
