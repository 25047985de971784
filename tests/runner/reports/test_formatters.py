"""Output formats: each kind of result has its formats, and a new format is one module."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_rig import runner
from rolecall_generator.errors import SelectionError
from rolecall_runner.data import ANSWER_FORMATS
from rolecall_runner.reports import PLAY_FORMATS, ROW_FORMATS, VERDICT_FORMATS, formatters

MARKDOWN = """
from rolecall_runner.reports import PLAY_FORMATS, VERDICT_FORMATS, VerdictFormat


def report(output, info, verdicts):
    for verdict in verdicts:
        output.text.write(f"- {verdict.name}: {verdict.mark}\\n")


VERDICT_FORMATS.add("markdown", VerdictFormat(report=report))
"""


@pytest.fixture
def markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of formatters with one more module, which no source file refers to."""
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "markdown.py").write_text(MARKDOWN)
    VERDICT_FORMATS.names()  # registers the formats that come with rolecall
    monkeypatch.setattr(VERDICT_FORMATS, "_formats", {**VERDICT_FORMATS._formats})
    monkeypatch.setattr(formatters, "__path__", [*formatters.__path__, str(tmp_path / "formats")])


def test_each_kind_of_result_has_its_formats() -> None:
    import rolecall_runner.cli.query  # noqa: F401, PLC0415 - registers Parquet

    assert ("table", "html", "json", "jsonl", "junit") == VERDICT_FORMATS.names()
    assert ("table", "csv", "json", "jsonl", "parquet") == ROW_FORMATS.names() == ANSWER_FORMATS.names()
    assert ("table", "json") == PLAY_FORMATS.names()


def test_unknown_format_is_reported_with_the_known_ones() -> None:
    with pytest.raises(SelectionError) as caught:
        PLAY_FORMATS.find("yaml")

    assert ("--format", "available formats: table, json") == (caught.value.where, caught.value.hint)


@pytest.mark.usefixtures("markdown")
def test_module_in_the_folder_adds_a_format_to_the_command(notes: Path) -> None:
    done = runner("verify", "--sandbox", "--actions", "none", "--no-drift", "--format", "markdown", cwd=notes)

    assert 0 == done.code, done.err
    assert [f"- account{number}: ok" for number in (1, 2, 3)] == done.out.splitlines()[:3]


@pytest.mark.parametrize(
    "command", [("verify",), ("status",), ("query", "--list"), ("sql", "--tables"), ("play", "nothing.yaml")]
)
def test_unknown_format_is_usage_error(command: tuple[str, ...], tmp_path: Path) -> None:
    done = runner(*command, "--format", "yaml", cwd=tmp_path)

    assert 2 == done.code
    assert "'yaml' is not one of 'table', " in " ".join(done.err.split())
