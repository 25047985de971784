"""The commands `gen init`, `schema`, `terraform`, `diff` and `profiles`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from rolecall_generator.check import check_output as run_check
from rolecall_generator.cli.options import (
    FormatOption,
    ManifestArgument,
    OnlyOption,
    OutOption,
    QuietOption,
    exit_on,
)
from rolecall_generator.customers import profiles_text
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.findings import Severity
from rolecall_generator.generate import compare, generate
from rolecall_generator.iam import Module, ModuleKind
from rolecall_generator.manifest import json_schema, load_manifest, write_starter
from rolecall_generator.reports import check_body, print_check
from rolecall_generator.terminal import emit, emit_json, print_indented, progress_bar, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, command_line

if TYPE_CHECKING:
    from rolecall_generator.check import CheckSummary
    from rolecall_generator.generate import Comparison, Generation
    from rolecall_generator.proof import TrustChange


app = typer.Typer()


@app.command(epilog="Example:  gen init && gen terraform")
def init(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented starter manifest with new external IDs."""
    write_starter(manifest, force=force)
    stdout().print(f"wrote {manifest}")
    stdout().print(f"next: enter your account IDs, then run: gen terraform {manifest}")


@app.command(epilog="Example:  gen schema > rolecall.schema.json")
def schema() -> None:
    """Print the manifest's JSON Schema, for editors."""
    emit_json(json_schema())


@app.command(epilog="Example:  gen terraform accounts.yaml --out output/ --only account1")
def terraform(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    only: OnlyOption = None,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Delete generated files that are no longer planned.")
    ] = True,
    prune_all: Annotated[
        bool, typer.Option("--prune-all", help="Allow --prune to delete the modules of all customers.")
    ] = False,
    repack: Annotated[
        bool, typer.Option("--repack", help="Fill gaps in the backend's policies by moving customers between them.")
    ] = False,
    checked: Annotated[
        bool, typer.Option("--check/--no-check", help="Check the modules after writing them, like gen check.")
    ] = True,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Write the Terraform modules of both sides and check them like `gen check`.

    Exit code 1 if the check finds an error; the modules are written anyway.
    """
    silent = quiet or output_format == "json"
    with progress_bar("modules", quiet=silent) as (started, progress):
        pruning = {"prune": prune, "prune_all": prune_all}
        done = generate(manifest, out, only=only or (), repack=repack, started=started, progress=progress, **pruning)
    found = None
    if checked:
        with progress_bar("checked", quiet=silent) as (started, progress):
            # --no-prune keeps modules that are no longer planned on purpose.
            found = run_check(manifest, out, only=only or (), leftovers=prune, started=started, progress=progress)
    if output_format == "json":
        emit_json(generation_json(done, out, found))
    elif not quiet:
        print_generation(stdout(), done, out)
    if found is not None:
        if not silent:
            print_check(stdout(), found, least=Severity.ERROR)
        exit_on(found, Severity.ERROR)
    if not silent:
        for line in next_steps(done, manifest, out):
            stdout().print(line, soft_wrap=True)


@app.command(epilog="Example:  gen diff accounts.yaml")
def diff(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Show how the next `gen terraform` would change the access: who, what, on which condition.

    Exit code 1 if something would change, otherwise 0.
    """
    with progress_bar("modules", quiet=quiet or output_format == "json") as (started, progress):
        found = compare(manifest, out, started=started, progress=progress)
    if output_format == "json":
        emit_json(comparison_json(found))
    elif not quiet:
        print_comparison(stdout(), found)
    if found.modules:
        raise typer.Exit(int(ExitCode.FINDINGS))


_SHOWN = 20
"""Maximum number of rows of a table."""
_UNLIMITED = 10_000
"""Characters per line; more than any table has."""
_OTHER_COLUMNS = 51
"""Characters of the other columns and the borders, with grants of 19 characters."""
_PARTS = 3
"""Parts of a path from which on it is broken."""
_MINIMUM = 12
"""Characters of the column with the paths."""

_STATES = ("created", "changed", "restored", "unchanged", "removed")


def generation_json(done: Generation, out: Path, checked: CheckSummary | None = None) -> dict[str, Any]:
    """The object that `gen terraform --format json` prints; `check` is null without a check."""
    report = done.report
    return {
        "output": str(out),
        "modules": {state: list(getattr(report, state)) for state in _STATES},
        "files_written": report.files_written,
        "kept": list(report.kept),
        "notes": list(done.notes),
        "backend_policies": done.plan.assignment.policies,
        "check": None if checked is None else check_body(checked),
    }


def print_generation(console: Console, done: Generation, out: Path) -> None:
    """Print the modules with their state, counts, notes, and links of switch roles."""
    report = done.report
    state_of = {path: state for state in _STATES for path in getattr(report, state)}
    touched = [module for module in done.plan.modules if state_of.get(module.path, "unchanged") != "unchanged"]
    shown = (touched or list(done.plan.modules))[:_SHOWN]
    rows: list[tuple[str, str, str, Text]] = []
    for module in shown:
        built = module.build()
        state = state_of.get(module.path, "not chosen")
        style = {"created": "green", "changed": "yellow", "restored": "yellow"}.get(state, "dim")
        rows.append((module.path, built.account.account_id, _grants(built), Text(state, style)))
    removed = report.removed[: max(0, _SHOWN - len(shown))]
    rows += [(path, "", "", Text("removed", "red")) for path in removed]
    console.print(_modules_table(console, str(out), rows))
    hidden = (len(touched) or len(done.plan.modules)) - len(shown)
    if hidden:
        console.print(f"and {hidden:,} more")
    counts = ", ".join(f"{len(getattr(report, state)):,} {state}" for state in _STATES if getattr(report, state))
    if report.files_written or report.removed:
        console.print(f"{report.files_written:,} files written; modules: {counts or 'none'}")
    else:
        console.print(f"Nothing to write: {len(report.unchanged):,} modules are up to date.")
    for path in report.kept:
        console.print(f"kept: {path} (not created by rolecall, or edited by hand)", style="yellow", markup=False)
    for note in done.notes:
        console.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    _print_links(console, done)


def _modules_table(console: Console, title: str, rows: Sequence[tuple[str, str, str, Text]]) -> Table:
    """The rows as a table. If it is wider than the terminal, paths of three parts take three lines."""
    paths: list[tuple[str, ...]] = [(path,) for path, *_ in rows]
    table = _table(title, paths, rows)
    if console.measure(table, options=console.options.update(width=_UNLIMITED)).maximum <= console.width:
        return table
    paths = [_indented_parts(path) for path, *_ in rows]
    longest = max((len(line) for lines in paths for line in lines), default=0)
    return _table(title, paths, rows, max(_MINIMUM, min(longest, console.width - _OTHER_COLUMNS)))


def _indented_parts(path: str) -> tuple[str, ...]:
    """For example `switch-roles/`, `  NAME/`, `    trusting`; the path as it is if it has fewer than three parts."""
    *folders, name = path.split("/")
    if len(folders) < _PARTS - 1:
        return (path,)
    return tuple(f"{'  ' * depth}{part}" for depth, part in enumerate([*(f"{folder}/" for folder in folders), name]))


def _table(
    title: str,
    paths: Sequence[tuple[str, ...]],
    rows: Sequence[tuple[str, str, str, Text]],
    width: int | None = None,
) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("module", overflow="fold", width=width)
    for heading in ("account", "grants", "state"):
        table.add_column(heading, overflow="fold")
    for lines, (_, account_id, grants, state) in zip(paths, rows, strict=True):
        table.add_row(Group(*lines), account_id, grants, state)
    return table


def next_steps(done: Generation, manifest: Path, out: Path) -> list[str]:
    """Command lines to try the modules without AWS and to hand them over."""
    customer = next((module.subject for module in done.plan.modules if module.kind is ModuleKind.CUSTOMER), None)
    steps = [f"next, to hand it over: {command_line('gen bundle', manifest, out)}"]
    if customer is not None:  # the backend role calls: without customers there is none
        rehearsal = command_line(f"runner onboard {customer}", manifest, out)
        steps.insert(0, f"next, to see it work without AWS: {rehearsal} --sandbox")
    return steps


def _grants(module: Module) -> str:
    access = module.access
    if module.backend is not None:
        noun = "policy" if len(access.policies) == 1 else "policies"
        return f"{len(access.policies)} {noun} for {module.backend.customers:,} customers"
    parts = [f"role {arn.rpartition('/')[2]}" for arn in access.roles]
    parts += [f"group {arn.rpartition('/')[2]}" for arn in access.groups]
    parts += [f"user {arn.rpartition('/')[2]}" for arn in access.users]
    return ", ".join(parts) or "only the link"


def _print_links(console: Console, done: Generation) -> None:
    for module in done.plan.modules:
        if module.kind is ModuleKind.TRUSTING:
            details = module.build().switch_role
            if details is not None and details.link is not None:
                # A wrapped link cannot be copied.
                console.print(f"switch role {module.subject}: {details.link}", markup=False, soft_wrap=True)


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The object that `gen diff --format json` prints."""
    return {
        "unchanged": found.unchanged,
        "modules": [
            {
                "path": module.path,
                "state": module.state,
                "changes": [
                    {"subject": change.subject, "kind": str(change.kind), "text": change.text, "widens": change.widens}
                    for change in module.changes
                ],
                "trusts": [trust.to_json() for trust in module.trusts],
                "unreadable": [finding.message for finding in module.findings],
            }
            for module in found.modules
        ],
    }


def print_comparison(console: Console, found: Comparison) -> None:
    """Print the changes of each module; changes that widen access are marked."""
    signs = {
        "new": ("+", "green"),
        "changed": ("~", "yellow"),
        "removed": ("-", "red"),
        "text": ("~", "dim"),
        "extra": ("!", "yellow"),
    }
    notes = {
        "text": " (text only; no access changes)",
        "removed": " (will be removed)",
        "new": " (new)",
        "extra": " (files that gen terraform does not manage)",
    }
    for module in found.modules:
        console.print(Text.assemble(signs[module.state], f" {module.path}{notes.get(module.state, '')}"))
        for change in module.changes:
            mark = ("widens ", "bold red") if change.widens else ""
            print_indented(console, Text.assemble(mark, change.text), 5)
        for trust in module.trusts:
            _print_trust(console, trust)
        for finding in module.findings:
            place = f" ({finding.file}:{finding.line or 1})" if finding.file else ""
            console.print(f"    {finding.severity.name.lower()}: {finding.message}{place}", markup=False, style="yellow")
    if not found.modules:
        console.print(f"No difference: {found.unchanged:,} modules are up to date.")


def _print_trust(console: Console, change: TrustChange) -> None:
    """Print the sets of requests that a changed trust policy allows more and less than before, with an example of each."""
    if change.is_equivalent:
        print_indented(console, f"{change.name} allows the same requests as before", 5)
    directions = (
        (("now allows", "may now allow", "bold red"), change.widens),
        (("no longer allows", "may no longer allow", ""), change.narrows),
    )
    for (verb, unsure, style), sets in directions:
        for found in sets:
            heading = f"{change.name} {verb if found.is_certain else unsure}"
            where = " where" if found.conditions else ""
            print_indented(console, Text.assemble((heading, style), f" {found.action}{where}"), 5)
            for condition in found.conditions:
                print_indented(console, condition, 7)
            for reason in found.reasons:
                print_indented(console, f"not known: {reason}", 7, style="yellow")
            if found.witness is not None:
                # A wrapped command cannot be copied.
                console.print(f"       example: {found.witness.shell_command}", style="dim", markup=False, soft_wrap=True)
                for remark in found.witness.remarks:
                    print_indented(console, remark, 9, style="dim")
    for reason in change.reasons:
        print_indented(console, f"{change.name} may allow more or fewer requests than these: {reason}", 5, style="yellow")


# Characters that would end a profile's name or its line in ~/.aws/config.
_NOT_IN_A_PREFIX = re.compile(r"""[^\S]|[\[\]"'#;\\]|[^ -~]""")
_NOT_IN_A_PROFILE = re.compile(r"[\x00-\x1f\x7f]")


def _one_line(option: str, text: str, unfit: re.Pattern[str]) -> None:
    if found := unfit.search(text):
        hint = "remove it: the AWS CLI could not parse the profile"
        raise SelectionError(f"{found.group()!r} is not allowed in a profile", where=option, hint=hint)


@app.command(
    epilog="""Examples:

gen profiles >> ~/.aws/config                              on an instance with the backend role

gen profiles --source-profile vendor --only account1       from a profile of your own

aws --profile account1 sts get-caller-identity"""
)
def profiles(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    only: OnlyOption = None,
    credential_source: Annotated[
        Literal["Ec2InstanceMetadata", "EcsContainer", "Environment"],
        typer.Option("--credential-source", help="Source of the backend role's credentials for the AWS CLI."),
    ] = "Ec2InstanceMetadata",
    source_profile: Annotated[
        str | None, typer.Option("--source-profile", help="Profile with the credentials, instead of --credential-source.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Prefix of the profile names.")] = "",
) -> None:
    """Print AWS CLI profiles for every customer's role, and for people who switch roles."""
    _one_line("--prefix", prefix, _NOT_IN_A_PREFIX)
    _one_line("--source-profile", source_profile or "", _NOT_IN_A_PROFILE)
    loaded = load_manifest(manifest)
    text = profiles_text(
        loaded.manifest, only or (), credential_source=credential_source, source_profile=source_profile, prefix=prefix
    )
    emit(text, end="")
