"""An output format is one file: found in the folder of formatters and offered by the command without a list to edit."""

from __future__ import annotations

from pathlib import Path

from command_rig import GEN, Ended, gen, process

SOURCE = '''
"""A format that is not part of rolecall."""

from rolecall_generator.reports.formatters.interface import Formatter

FORMATTER = Formatter(check=lambda report: f"{report.checked.modules} modules of {report.manifest}\\n")
'''


def run(folder: Path, *words: str) -> Ended:
    """Run `gen` with one more file in the folder of formatters."""
    (folder / "formats").mkdir(exist_ok=True)
    (folder / "formats" / "brief.py").write_text(SOURCE)
    added = f"from rolecall_generator.reports import formatters\nformatters.__path__.append({str(folder / 'formats')!r})"
    done = process(GEN, *words, cwd=folder, before=added)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_format_from_outside_is_offered_and_used(generated: Path) -> None:
    """The option's choices include it, and the command prints what it renders."""
    assert "brief" in run(generated, "check", "--help").out
    assert Ended(0, "6 modules of accounts.yaml\n", "") == run(generated, "check", "--format", "brief")


def test_format_without_proofs_is_no_format_of_prove(notes: Path) -> None:
    """It is a usage error there, like an unknown one."""
    assert 2 == run(notes, "prove", "--format", "brief").code
    assert 2 == gen("prove", "--format", "unknown", cwd=notes).code
