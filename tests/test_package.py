"""The house itself: what importing costs, what is exported, where the symlinks lead, who imports whom."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

import energymeter
from energymeter import errors
from energymeter.spec import driver_names, load_driver

ROOT = Path(__file__).parent.parent


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


def test_importing_the_package_loads_the_standard_library_only():
    code = "import sys; before = set(sys.modules); import energymeter; print(*(set(sys.modules) - before))"
    assert run(code).split() == ["energymeter"]


def test_importing_the_meter_loads_the_standard_library_and_ourselves():
    code = "import sys; from energymeter import EnergyMeter; EnergyMeter; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in run(code).split()} - {"__main__"}
    assert loaded <= {"energymeter", "_virtualenv", "sitecustomize"} | sys.stdlib_module_names | {
        name for name in loaded if name.startswith(("__editable__", "_distutils", "distutils"))
    }


def test_the_public_names_are_frozen():
    assert energymeter.__all__ == [
        "Battery",
        "Budget",
        "EnergyMeter",
        "EnergyMeterError",
        "Grid",
        "NotMeasured",
        "Reading",
        "Source",
        "SourceError",
        "SpecError",
        "Trace",
        "Usage",
        "measure",
    ]
    assert all(getattr(energymeter, name) for name in energymeter.__all__)
    assert set(energymeter.__all__) < set(dir(energymeter))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = energymeter.nonsense


@pytest.mark.parametrize("name", ["drivers", "calibration"])
def test_the_symlinks_lead_to_the_folders_at_the_top(name):
    link = ROOT / "energymeter" / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_every_package_is_listed_in_setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {"energymeter"} | {
        f"energymeter.{path.parent.name}" for path in (ROOT / "energymeter").glob("*/__init__.py")
    }
    assert listed == there
    assert config["metadata"]["version"] == energymeter.__version__


def test_every_error_is_on_the_page_with_its_exit_code():
    page = errors.__doc__
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.EnergyMeterError):
            (line,) = [line for line in page.splitlines() if f" {name} " in f" {line} "]
            assert line.split()[-1] == str(kind.exit_code) or f" {kind.exit_code} " in line
            if name not in ("EnergyMeterError", "SourceError"):
                assert any(base.__module__ == "builtins" for base in kind.__bases__), "also a builtin"


def test_every_module_has_its_place_in_the_order_of_imports():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    layers = set(re.findall(r"energymeter[\w.]*", config["importlinter:contract:layers"]["layers"]))
    for path in (ROOT / "energymeter").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        whole = {"energymeter.cli", "energymeter.drivers"} & layers  # packages with one place
        assert path.name == "__init__.py" or module in layers or module.rpartition(".")[0] in whole, module


DRIVER_MAY_IMPORT = {"reading", "source", "errors", "clock", "boards", "logs", "units", "drivers"}


@pytest.mark.parametrize("path", sorted((ROOT / "drivers").glob("*.py")), ids=lambda path: path.stem)
def test_a_driver_imports_only_what_the_contract_allows(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("energymeter"):
            parts = node.module.split(".")
            names = parts[1:2] or [alias.name for alias in node.names]
            assert set(names) <= DRIVER_MAY_IMPORT
            if parts[1:2] == ["drivers"] and len(parts) > 2:
                assert parts[2].startswith("_") or path.stem == "sim", "drivers share helpers, not each other"


@pytest.mark.parametrize("name", driver_names())
def test_every_driver_file_is_a_driver_that_is_held_to_the_contract(name):
    driver = load_driver(name)
    tests = [path.read_text() for path in (ROOT / "tests").glob("test_*.py")]
    tests = "\n".join(text for text in tests if f"energymeter.drivers.{name} import" in text)
    assert "check_source(" in tests
    assert "check_unplugged(" in tests or name == "manual", "a number typed in cannot be unplugged"
    assert driver.__doc__
    assert {"open", "read", "close"} <= set(dir(driver))


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("energymeter", "drivers", "calibration")
        for path in (ROOT / folder).glob("**/*.py")
    ],
    ids=lambda path: path.stem,
)
def test_the_first_line_of_a_file_says_what_it_is(path):
    assert path.read_text().startswith('"""')


def extras():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return {name: packages.split() for name, packages in config["options.extras_require"].items()}


def test_every_extra_an_error_names_holds_the_package_it_names():
    named = set()
    for path in ROOT.glob("*/**/*.py"):
        if path.relative_to(ROOT).parts[0] in ("drivers", "calibration", "energymeter"):
            named |= set(re.findall(r'ExtraMissing\(\s*"([^"]+)", "([^"]+)"', path.read_text()))
    assert len(named) > 8
    for package, extra in named:
        assert any(re.split(r"[<>=;]", line)[0] == package for line in extras()[extra]), (package, extra)


def test_nothing_that_is_gpl_comes_by_default_or_with_the_tests():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    always = config["options"]["install_requires"] + config["options.extras_require"]["test"]
    assert not re.search(r"kasa|jetson|ppk2", always)
