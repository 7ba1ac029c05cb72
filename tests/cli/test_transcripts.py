"""Commands answer what they answered when somebody last read it: lines, notes, errors, exit codes."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from transcripts import SUBJECTS, file_of, transcript


@pytest.mark.parametrize("subject", SUBJECTS)
def test_commands_answer_as_before(subject: str, tmp_path: Path) -> None:
    left = file_of(subject).read_text(encoding="utf-8")

    def check(found: list[str]) -> None:
        nonlocal left
        said = "\n".join(found) + "\n\n"
        assert left[: len(said)] == said, "transcripts.py says what to do"
        left = left[len(said) :]

    transcript(subject, tmp_path, check)
    assert not left
