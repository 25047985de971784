"""An output format is one file: discovered in the folder of formatters and available in the command without registration."""

from __future__ import annotations

from pathlib import Path

from command_rig import GEN, Ended, gen, process

SOURCE = '''
"""A format that is not part of rolecall."""

from rolecall_generator.reports.formatters.interface import Formatter

FORMATTERS = {"brief": Formatter(check=lambda report: f"{report.checked.modules} modules of {report.manifest}\\n")}
'''


def run(folder: Path, *words: str) -> Ended:
    """Run `gen` with an additional file in the folder of formatters."""
    (folder / "formats").mkdir(exist_ok=True)
    (folder / "formats" / "brief.py").write_text(SOURCE)
    added = f"from rolecall_generator.reports import formatters\nformatters.__path__.append({str(folder / 'formats')!r})"
    done = process(GEN, *words, cwd=folder, before=added)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_added_format_is_available(generated: Path) -> None:
    assert "brief" in run(generated, "check", "--help").out
    assert Ended(0, "6 modules of accounts.yaml\n", "") == run(generated, "check", "--format", "brief")


def test_added_format_without_proofs_is_usage_error_of_prove(notes: Path) -> None:
    """Like an unknown format."""
    assert 2 == run(notes, "prove", "--format", "brief").code
    assert 2 == gen("prove", "--format", "unknown", cwd=notes).code
