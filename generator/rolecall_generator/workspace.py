"""Check and build bundles from Python: for a manifest file, or for a `Manifest` object without files of the caller.

A `Manifest` object is written to a private temporary folder, since modules, locks and proofs are files; every function
here and `Fleet` use the same code for both. The folder has mode 0700 and is deleted with its contents, which include
external IDs.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rolecall_generator import bundle as bundles  # its names load the forms of bundles when they are used
from rolecall_generator.check import CheckSummary, check_output
from rolecall_generator.errors import ManifestError, OutputError, Problem, SelectionError
from rolecall_generator.findings import Finding
from rolecall_generator.generate import generate
from rolecall_generator.manifest import Manifest, load_manifest
from rolecall_generator.output import LOCK_NAME
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT

ManifestSource = Manifest | str | Path
"""A manifest: an object, or the path of a file."""

_MANIFEST_NAME = DEFAULT_MANIFEST.name


@dataclass(frozen=True, slots=True)
class ManifestWorkspace:
    """A manifest file and its output folder. `folder`: the temporary folder of both, if the manifest is an object."""

    manifest: Path
    out: Path
    folder: Path | None = None

    @classmethod
    def create(cls, source: ManifestSource, out: str | Path | None = None) -> ManifestWorkspace:
        """The workspace of a manifest file and `out` (default: `output`), or a temporary one for an object.

        An object is validated again as a whole, like a file: its models only validate single entries.

        Raises ManifestError, for an object also if it has `include`, or several backend roles of which a customer names
        none: the output folder would have to record which one it is.
        """
        if not isinstance(source, Manifest):
            return cls(Path(source), Path(DEFAULT_OUT if out is None else out))
        text = _dump(source)
        load_manifest(Path(_MANIFEST_NAME), read=lambda _path, _name: text)
        folder = Path(tempfile.mkdtemp(prefix="rolecall-"))  # its mode is 0700
        manifest = folder / _MANIFEST_NAME
        manifest.write_text(text, "utf-8")
        return cls(manifest, folder / DEFAULT_OUT if out is None else Path(out), folder)

    def delete(self) -> None:
        """Delete the temporary folder, if there is one."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def temporary_workspace(source: ManifestSource, out: str | Path | None = None) -> Iterator[ManifestWorkspace]:
    """The workspace of `ManifestWorkspace.create`, deleted at the end of `with`."""
    made = ManifestWorkspace.create(source, out)
    try:
        yield made
    finally:
        made.delete()


def _dump(manifest: Manifest) -> str:
    """The object as JSON, which is YAML as well."""
    problems = []
    if manifest.include:
        hint = "load the file with load_manifest, which merges included files, then set include to ()"
        problems.append(Problem(_MANIFEST_NAME, 1, 1, "a Manifest object cannot include files", hint))
    if manifest.backend is not None and len(manifest.backend.all_roles) > 1:
        problems += [
            Problem(_MANIFEST_NAME, 1, 1, f"customer {each.name} names none of several backend roles", "set backend_role")
            for each in manifest.customers
            if each.backend_role is None
        ]
    if problems:
        raise ManifestError(problems)
    return manifest.model_dump_json(exclude_unset=True, indent=1)


def check(manifest: ManifestSource = DEFAULT_MANIFEST, out: str | Path | None = None) -> CheckSummary:
    """Check the modules of a manifest as `gen check` does: the rules, and the proof of who can assume what.

    Args:
        manifest: The manifest. For an object, its modules are rendered and checked.
        out: The output folder with the modules; by default `output` for a file.

    Returns:
        The findings (`report.active`), and the numbers of proven and failed requests.

    Raises:
        ManifestError: The manifest is invalid.
        PlanError: The manifest exceeds a quota of AWS.
        OutputError: The output folder cannot be read.
    """
    with temporary_workspace(manifest, out) as place:
        if place.folder is not None and out is None:
            generate(place.manifest, place.out)
        found = check_output(place.manifest, place.out)
    report = replace(found.report, active=tuple(_relative(finding, place) for finding in found.report.active))
    return replace(found, report=report)


def _relative(finding: Finding, place: ManifestWorkspace) -> Finding:
    """The finding without the path of the temporary folder."""
    if place.folder is None or finding.declared is None:
        return finding
    return replace(finding, declared=finding.declared.removeprefix(f"{place.folder}/"))


@dataclass(frozen=True, slots=True)
class Bundle:
    """The bundle of a customer, in memory.

    Attributes:
        name: The customer.
        archive: The zip file to send.
        files: The same files by path, such as `README.md` and `terraform/main.tf`.
        findings: Error findings. Such a bundle should not be handed over.
    """

    name: str
    archive: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no error findings."""
        return not self.findings


def build_bundle(
    manifest: ManifestSource, customer: str, *, out: str | Path | None = None, options: bundles.BundleOptions | None = None
) -> Bundle:
    """Build the bundle of one customer in memory: the same bytes as `gen bundle CUSTOMER`.

    Args:
        manifest: The manifest. An object may have only this customer.
        customer: Name of the customer.
        out: The output folder whose lock records the assignment of customers to backend roles. It is only read.
        options: Options of `gen bundle`; the names are ignored.

    Raises:
        ManifestError: The manifest is invalid.
        PlanError: The manifest exceeds a quota of AWS.
        SelectionError: There is no such customer.
        OutputError: The bundle could not be built.
        ToolError: A library or the signing program is missing.
    """
    with temporary_workspace(manifest, out) as place, tempfile.TemporaryDirectory(prefix="rolecall-") as name:
        folder = Path(name)
        if (place.out / LOCK_NAME).exists():
            shutil.copyfile(place.out / LOCK_NAME, folder / LOCK_NAME)
        chosen = replace(options or bundles.BundleOptions(), names=(customer,))
        report = bundles.write_bundles(place.manifest, folder, chosen)
        if report.failed:
            raise OutputError(next(iter(report.failed.values())), where=customer)
        root = report.folder / customer
        if not root.is_dir():  # the name of a switch role
            raise SelectionError(f"there is no customer {customer}", hint="use a customer's name from the manifest")
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        archive = root.with_name(f"{customer}.zip").read_bytes()
    return Bundle(customer, archive, files, report.blocking_findings.get(customer, ()))
