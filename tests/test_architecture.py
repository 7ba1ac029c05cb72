"""The house itself: what importing costs, what is exported, where the symlinks lead, who imports whom."""

import ast
import configparser
import graphlib
import importlib
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


PACKAGE = ["energymeter", "energymeter.lazy", "energymeter.version"]
METER = [
    "__future__", "_struct", "struct", "energymeter.clock", "energymeter.errors", "energymeter.meter",
    "energymeter.meter.meter", "energymeter.meter.span",
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [("import energymeter", PACKAGE), ("from energymeter import EnergyMeter", sorted([*PACKAGE, *METER]))],
)
def test_importing_loads_exactly_this_beyond_a_bare_start(statement, loaded):
    """`typing` takes as long as a bare start; `re`, `enum`, `functools` and `threading` a third."""
    code = f"""
import os, sys  # which a start with site-packages has loaded
sys.path.insert(0, {str(ROOT)!r})
before = set(sys.modules)
{statement}
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == loaded


SLOW_TO_LOAD = {"typing", "re", "enum", "json", "subprocess", "signal", "dataclasses", "inspect", "numpy"}


@pytest.mark.parametrize("source", ["manual:5V,0.6A", "sim:pi4"])
def test_a_block_loads_nothing_that_takes_long_on_either_side(source, tmp_path):
    """A first block takes as long as four bare starts, two of which are its processes'."""
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from energymeter import EnergyMeter
spawn = os.posix_spawn
def noted(path, arguments, *others, **options):
    place = arguments.index("-S") + 1
    # what the child imports goes to its standard error, which is a file here
    file = os.open({str(tmp_path / "child")!r}, os.O_WRONLY | os.O_CREAT)
    options["file_actions"].append((os.POSIX_SPAWN_DUP2, file, 2))
    return spawn(path, [*arguments[:place], "-X", "importtime", *arguments[place:]], *others, **options)
os.posix_spawn = noted
with EnergyMeter({source!r}):
    pass
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert not SLOW_TO_LOAD & set(done.stdout.split())
    child = {line.rpartition("|")[2].strip() for line in (tmp_path / "child").read_text().splitlines()}
    assert "energymeter.sampling.session" in child
    assert not (SLOW_TO_LOAD | {"threading", "functools", "collections", "contextlib"}) & child


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
        "compare",
        "measure",
        "sweep",
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
    there = {name for name, path in FILES.items() if path.name == "__init__.py"}
    assert listed == there
    assert config["metadata"]["version"] == "attr: energymeter.version.__version__"


def test_every_error_is_on_the_page_with_its_exit_code():
    page = errors.__doc__
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.EnergyMeterError):
            (line,) = [line for line in page.splitlines() if f" {name} " in f" {line} "]
            assert line.split()[-1] == str(kind.exit_code) or f" {kind.exit_code} " in line
            if name not in ("EnergyMeterError", "SourceError"):
                assert any(base.__module__ == "builtins" for base in kind.__bases__), "also a builtin"


DRIVER_MAY_IMPORT = {
    "reading", "source", "errors", "clock", "boards", "text", "units", "paths", "recordings", "lazy",
}  # fmt: skip
SHARED_BY_DRIVERS = {"links", "protocols", "emulated"}


def modules_imported(path):
    """Every module of this package that a file imports: lazily or for type checking, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "energymeter":
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "energymeter")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "energymeter" else ("energymeter", *parts)
    return ".".join(parts).removesuffix(".__init__")


FILES = {
    module_name(path): path
    for folder in ("energymeter", "drivers", "calibration")
    for path in (ROOT / folder).glob("**/*.py")
    if not (
        path.is_relative_to(ROOT / "energymeter/drivers")
        or path.is_relative_to(ROOT / "energymeter/calibration")
    )
}


UPWARDS = {"energymeter.recordings.trace": {"energymeter.report"}}
"""The method `Trace.plot` is another name of a function of the report: docs/decisions/0014."""


def test_no_file_imports_itself_over_others_not_even_lazily_or_for_type_checking():
    arrows = {name: {m for m in modules_imported(path) if m in FILES} for name, path in FILES.items()}
    for name, above in UPWARDS.items():
        assert above <= arrows[name], "an exception that nothing needs"
        arrows[name] -= above
    order = graphlib.TopologicalSorter(arrows)
    order.prepare()  # raises CycleError, which names the files of the circle


@pytest.mark.parametrize("name", [name for name, path in FILES.items() if path.name == "__init__.py"])
def test_a_package_exports_what_it_says_and_nothing_that_is_also_a_module_of_its(name):
    package = importlib.import_module(name)
    for exported in getattr(package, "__all__", ()):
        assert getattr(package, exported).__module__.startswith("energymeter")
        assert f"{name}.{exported}" not in FILES, "importing the module would hide the name"


def test_docs_and_examples_import_from_faces_only():
    flat = {f"energymeter.{path.stem}" for path in (ROOT / "energymeter").glob("[!_]*.py")}
    faces = {name for name, path in FILES.items() if path.name == "__init__.py"} | flat
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*.py")]
    for page in pages:
        for module in re.findall(
            r"^(?:from|import) (energymeter[\w.]*)", page.read_text(encoding="utf-8"), re.M
        ):
            below_drivers = module.removeprefix("energymeter.drivers.").split(".")
            drivers = module.startswith("energymeter.drivers.") and len(below_drivers) == 1
            helpers = page.stem == "write-a-driver" and below_drivers[0] in SHARED_BY_DRIVERS
            assert module in faces or drivers or helpers, (page.name, module)


def test_the_core_has_a_dozen_flat_modules_at_most():
    assert len([*(ROOT / "energymeter").glob("[!_]*.py")]) <= 12


@pytest.mark.parametrize("path", sorted((ROOT / "drivers").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_driver_imports_only_what_the_contract_allows(path):
    for module in modules_imported(path):
        parts = module.split(".")
        if parts[1] == "drivers":
            shared = parts[2] in SHARED_BY_DRIVERS or path.stem == "sim"  # which plays another's part
            assert shared, f"{path.name} imports {module}: drivers share links and protocols, not each other"
        else:
            assert parts[1] in DRIVER_MAY_IMPORT, f"{path.name} imports {module}; see CONTRIBUTING.md"


def test_contributors_read_what_a_driver_may_import():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.search(r"A driver imports the contract \((.+?)\)", page, re.S)
    assert {"recordings", *re.findall(r"`(\w+)`", named[1])} == DRIVER_MAY_IMPORT


@pytest.mark.parametrize("name", driver_names())
def test_every_driver_file_is_a_driver_that_is_held_to_the_contract(name):
    driver = load_driver(name)
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/drivers").glob("test_*.py")]
    tests = "\n".join(text for text in tests if f"energymeter.drivers.{name} import" in text)
    assert tests, f"no file of tests/drivers has a line: from energymeter.drivers.{name} import …"
    assert "check_source(" in tests, f"no test of {name} calls check_source"
    # a number typed in cannot be unplugged
    assert "check_unplugged(" in tests or name == "manual", f"no test of {name} calls check_unplugged"
    assert driver.__doc__, f"the class of drivers/{name}.py has no docstring: its spec and its options"
    assert {"open", "read", "close"} <= set(dir(driver))


def test_the_first_line_of_a_file_says_what_it_is():
    folders = ("energymeter", "drivers", "calibration", "tests", "benchmarks", "examples", "docs")
    files = [path for folder in folders for path in (ROOT / folder).glob("**/*.py")]
    assert len(files) > 500
    assert [path for path in files if not path.read_text(encoding="utf-8").startswith('"""')] == []


def extras():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return {name: packages.split() for name, packages in config["options.extras_require"].items()}


def test_every_extra_an_error_names_holds_the_package_it_names():
    named = set()
    for path in ROOT.glob("*/**/*.py"):
        if path.relative_to(ROOT).parts[0] in ("drivers", "calibration", "energymeter"):
            named |= set(
                re.findall(r'ExtraMissing\(\s*"([^"]+)", "([^"]+)"', path.read_text(encoding="utf-8"))
            )
    assert len(named) > 8
    for package, extra in named:
        assert any(re.split(r"[<>=;]", line)[0] == package for line in extras()[extra]), (package, extra)


def test_nothing_that_is_gpl_comes_by_default_or_with_the_tests():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    always = config["options"]["install_requires"] + config["options.extras_require"]["test"]
    assert not re.search(r"kasa|jetson|ppk2", always)
