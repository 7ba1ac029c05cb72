"""The table at the end of `.ci/run`: what some run executes is not skipped, and too many skips fail."""

import configparser
import importlib.util
import re
import warnings
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("table", ROOT / ".ci" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(path: Path, *cases: tuple[str, str]) -> None:
    rows = "".join(
        f'<testcase classname="t" name="{name}">{f"<skipped {about}/>" if about else ""}</testcase>'
        for name, about in cases
    )
    path.write_text(f"<testsuites><testsuite>{rows}</testsuite></testsuites>")


NO_CHIP = 'type="pytest.skip" message="no chip"'


def test_what_the_suite_needs_is_locked_by_hash() -> None:
    """Each name in the extra `test` and in those that it names; `make lock` adds what is new."""
    lock = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert all(re.match(r"[a-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    locked = {entry.partition("==")[0] for entry in entries}
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras, found, wanted = setup["options.extras_require"], set(), ["test"]
    while wanted:
        for line in extras[wanted.pop()].splitlines():
            match = re.match(r"([A-Za-z0-9._-]+)(?:\[([\w,-]+)\])?", line)
            if match is None or line.startswith("#"):
                continue
            if match[1] == "edge-energymeter":
                wanted += match[2].split(",")
            else:
                found.add(match[1].lower().replace("_", "-"))
    assert found
    assert found <= locked


def test_what_one_run_executes_is_not_skipped(table: ModuleType, tmp_path: Path) -> None:
    report(tmp_path / "root.xml", ("a", ""), ("b", NO_CHIP), ("c", NO_CHIP))
    report(tmp_path / "user.xml", ("a", ""), ("b", ""), ("c", NO_CHIP))
    lines, skipped = table.table(sorted(tmp_path.glob("*.xml")))
    assert skipped == 1
    assert [line.split() for line in lines[1:]] == [
        ["root", "1", "2"],
        ["user", "2", "1"],
        ["any", "2", "1"],
        ["1", "skipped:", "no", "chip"],
    ]


def test_a_file_that_one_run_skips_as_a_whole_is_executed_by_another(
    table: ModuleType, tmp_path: Path
) -> None:
    cause = """("x.py", 3, 'Skipped: torch is not here')"""
    (tmp_path / "a.xml").write_text(
        '<testsuites><testsuite><testcase classname="" name="tests.x"><skipped type="pytest.skip" '
        f'message="collection skipped">{cause}</skipped></testcase></testsuite></testsuites>'
    )
    lines, skipped = table.table([tmp_path / "a.xml"])
    assert skipped == 1
    assert lines[-1].split(maxsplit=2)[2] == "torch is not here"
    (tmp_path / "b.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.x" name="test_y"/></testsuite></testsuites>'
    )
    assert table.table([tmp_path / "a.xml", tmp_path / "b.xml"])[1] == 0


def test_the_files_of_which_tests_were_skipped(table: ModuleType, tmp_path: Path) -> None:
    cases = [
        '<testcase classname="tests.a.test_x" name="y"><skipped message="no root"/></testcase>',
        '<testcase classname="tests.a.test_z.Kind" name="y"><skipped message="no root"/></testcase>',
        '<testcase classname="" name="tests.test_w"><skipped message="collection skipped"/></testcase>',
        '<testcase classname="tests.test_v" name="y"/>',
    ]
    (tmp_path / "r.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    files = ["tests/a/test_x.py", "tests/a/test_z.py", "tests/test_w.py"]
    (tmp_path / "tests" / "a").mkdir(parents=True)
    for path in [*files, "tests/test_v.py"]:
        (tmp_path / path).touch()
    assert table.skipping(tmp_path / "r.xml", tmp_path) == files


def test_an_expected_failure_is_executed(table: ModuleType, tmp_path: Path) -> None:
    report(tmp_path / "x.xml", ("a", 'type="pytest.xfail" message="known"'))
    assert table.table([tmp_path / "x.xml"])[1] == 0


@pytest.mark.parametrize(("count", "code"), [(15, 0), (16, 1)])
def test_at_most_fifteen_are_skipped(
    table: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, code: int
) -> None:
    report(tmp_path / "x.xml", *[(f"t{number}", NO_CHIP) for number in range(count)])
    assert table.main(str(tmp_path)) == code
    assert f"{count} skipped: no chip" in capsys.readouterr().out


def test_a_folder_without_reports_is_refused(table: ModuleType, tmp_path: Path) -> None:
    assert table.main(str(tmp_path)) == 1


@pytest.mark.parametrize("category", [UserWarning, DeprecationWarning, RuntimeWarning])
def test_a_warning_in_our_own_package_fails_a_test(category: type[Warning]) -> None:
    with pytest.raises(category, match="of ours"):
        warnings.warn_explicit("of ours", category, "loop.py", 1, module="energymeter.sampling.loop")


def test_what_a_test_leaves_open_fails_it(pytestconfig: pytest.Config) -> None:
    assert "error::pytest.PytestUnraisableExceptionWarning" in pytestconfig.getini("filterwarnings")
