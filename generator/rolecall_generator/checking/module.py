"""One written module against the planned one: what it grants otherwise than intended, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rolecall_generator.checking.size import too_large
from rolecall_generator.checks.finding import DIFFERENCE, NOT_WRITTEN, Finding
from rolecall_generator.errors import ModuleError
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.difference import Label, differences
from rolecall_generator.iam.module import Module
from rolecall_generator.parse import ParsedModule, parse_module
from rolecall_generator.parse.places import declared_places
from rolecall_generator.parse.report import GUARD, UNREADABLE

ASK_WHY = "ask who changed it, and why; then change the manifest, or send the module again"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one module grants as written, and what is to be said of it. `access` is canonical.

    `as_intended` is true when it grants just what was planned and nothing about it is to be said.
    """

    path: str
    access: Access
    findings: tuple[Finding, ...] = ()

    @property
    def as_intended(self) -> bool:
        """True when there is nothing to say."""
        return not self.findings


def judge(
    planned: Module, folder: Path, *, root: str, label: Label, mend: str | None = None, returned: bool = False
) -> Verdict:
    """Read the module in `folder` and compare it with the planned one. `returned`: the folder comes from someone else.

    `root` leads from the checked folder to `folder`, as in `customers/account1`: findings' files start with it.
    """
    # lexists: a broken link is not "not written".
    if not folder.is_symlink() and not folder.exists():
        missing = NOT_WRITTEN.finding(planned.subject, f"{planned.path} is not written", root or None)
        return Verdict(planned.path, Access(), (missing,))
    try:
        parsed = parse_module(folder, account_id=planned.account.account_id, partition=planned.partition, returned=returned)
    except ModuleError as error:
        message = f"{planned.path}: {error.what}"
        unreadable = UNREADABLE.finding(planned.subject, message, root or None, hint=error.mend or "")
        return Verdict(planned.path, Access(), (unreadable,))
    return compare_parsed(planned, parsed, folder, root=root, label=label, mend=mend)


def compare_parsed(
    planned: Module, parsed: ParsedModule, folder: Path, *, root: str, label: Label, mend: str | None = None
) -> Verdict:
    """The verdict on a module that was read."""
    written, intended = parsed.access.canonical(), planned.access.canonical()
    findings = [_placed(finding, planned.subject, root) for finding in parsed.findings]
    if written != intended:
        if excess := too_large(written, intended):
            findings.append(_too_large(planned, excess, root))
            return Verdict(planned.path, Access(), tuple(findings))
        findings += _differences(planned, written, folder, root, label, mend)
    return Verdict(planned.path, written, tuple(findings))


def _too_large(planned: Module, excess: str, root: str) -> Finding:
    message = f"too large to be compared and proven: {excess}, far more than was planned or AWS accepts"
    hint = "send the module as it was generated, or read it yourself"
    return UNREADABLE.finding(planned.subject, message, below(root, "main.tf"), 1, hint=hint)


def _placed(finding: Finding, subject: str, root: str) -> Finding:
    """A reader's finding in the words of the whole: its subject is the customer, its file counts from the checked folder."""
    message = finding.message if finding.subject == "module" else f"{finding.subject}: {finding.message}"
    # That there is no guard has no place of its own: main.tf is where it belongs.
    file = finding.file or ("main.tf" if finding.rule == GUARD.id else None)
    return replace(finding, subject=subject, message=message, file=below(root, file))


def _differences(
    planned: Module, written: Access, folder: Path, root: str, label: Label, mend: str | None
) -> Iterator[Finding]:
    places = declared_places(folder, account_id=planned.account.account_id, partition=planned.partition)
    for change in differences(planned.access, written, label=label):
        file, line = places.get(change.subject, ("main.tf", 1))
        text = f"{change.text} (more than the manifest says)" if change.widens else change.text
        yield DIFFERENCE.finding(planned.subject, text, below(root, file), line, hint=mend)


def below(root: str, file: str | None) -> str | None:
    """A file of a module as seen from the checked folder; the module's folder where no file is named."""
    return "/".join(part for part in (root, file) if part) or None
