"""`runner rehearse`: apply every module in the sandbox, compare the result with the plan, and destroy it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.cli import FormatOption, ManifestArgument, OnlyOption, QuietOption
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.iam import PARTITIONS
from rolecall_generator.manifest import load_manifest
from rolecall_generator.terminal import emit_json, folder_parser, progress_bar, stdout
from rolecall_generator.text import DEFAULT_MANIFEST
from rolecall_runner import sandbox as aws_sandbox  # imports moto lazily
from rolecall_runner.rehearsal import RehearsalSelection, TerraformTool, find_terraform, rehearsal_json
from rolecall_runner.rehearsal import rehearse as run

if TYPE_CHECKING:
    from rolecall_runner.rehearsal import Rehearsal, RehearsalProgress


_MAX_ROWS = 40
EXAMPLES = """Examples:

runner rehearse                                   every module of accounts.yaml, with the terraform on PATH

runner rehearse --only account1 --out output      one customer, from the files in output/

runner rehearse --sample 20 --seed 7              a repeatable random sample of 20 modules

runner rehearse --plugin-dir ~/.terraform.d/plugins"""


def rehearse(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=folder_parser("--out"),
            metavar="<path>",
            help="Rehearse the modules in this folder. Default: those of the manifest.",
        ),
    ] = None,
    only: OnlyOption = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Random sample of this size.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random sample.")] = 0,
    plugin_dir: Annotated[
        Path | None,
        typer.Option("--plugin-dir", help="Folder of unpacked Terraform providers, used instead of the network."),
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=16, help="Number of modules applied concurrently.")] = 2,
    no_terraform: Annotated[
        bool, typer.Option("--no-terraform", help="Provision from the parsed modules, without Terraform.")
    ] = False,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Apply the modules in a sandbox with Terraform, compare the result with the plan, and destroy it again.

    Without terraform or tofu on PATH, or without an AWS provider, the modules are parsed and provisioned instead; the report
    names the method. Exit code 1 if anything differs from the plan, or still exists after the destroy.
    """
    if plugin_dir is not None and not plugin_dir.is_dir():
        raise SelectionError(
            "folder not found", where=f"--plugin-dir {plugin_dir}", hint="specify a folder of unpacked providers"
        )
    loaded = load_manifest(manifest).manifest
    region = PARTITIONS[loaded.partition].default_region
    tool = TerraformTool(None if no_terraform else find_terraform(), plugin_dir, parallel)
    silent = quiet or output_format == "json"
    with (
        progress_bar("modules", quiet=silent) as bar,
        aws_sandbox.Sandbox(region=region, limits=aws_sandbox.iam_limits(loaded)) as sandbox,
    ):
        rehearsal = run(
            manifest,
            tool=tool,
            url=sandbox.url,
            selection=RehearsalSelection(only or (), sample, seed, out),
            progress=_listener(*bar),
        )
    if output_format == "json":
        emit_json(rehearsal_json(rehearsal))
    elif not quiet:
        print_rehearsal(stdout(), rehearsal)
    if not rehearsal.passed:
        raise typer.Exit(int(ExitCode.FINDINGS))


def _listener(started: Callable[[int], None], progress: Callable[[int], None]) -> Callable[[RehearsalProgress], None]:
    """Return a listener that updates the progress bar: two steps per module, apply and destroy."""
    started_steps: set[tuple[str, str]] = set()
    ended_steps: list[str] = []

    def on_progress(event: RehearsalProgress) -> None:
        if event.path is None:
            return
        started_steps.add((event.path, event.stage))
        if event.ok is not None:
            ended_steps.append(event.path)
        started(2 * len({path for path, _ in started_steps}))
        progress(len(ended_steps))

    return on_progress


def print_rehearsal(console: Console, done: Rehearsal) -> None:
    """Print the modules with their outcome, the differences and leftovers, and a summary."""
    table = Table(title="rehearsal", title_justify="left", title_style="bold")
    for heading in ("module", "account", "outcome", "seconds"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "seconds" else "left")
    failed = [module for module in done.modules if module.error or module.destroy_error]
    shown = list(done.modules) if len(done.modules) <= _MAX_ROWS else failed[:_MAX_ROWS]
    for module in shown:
        style = {"applied": "green", "failed": "bold red", "skipped": "yellow"}.get(module.outcome, "")
        gone = ", destroyed" if module.destroyed else ""
        table.add_row(module.path, module.account_id, Text.assemble((module.outcome, style), gone), f"{module.seconds:.1f}")
    console.print(table)
    for module in failed:
        for text in filter(None, (module.error, module.destroy_error)):
            console.print(f"{module.path}: {module.outcome}", style="bold", markup=False)
            for line in text.splitlines():
                console.print(f"    {line}")
    for account in done.accounts:
        for change in account.differences:
            console.print(f"✗ {account.account_id}: {change.text}", style="bold red", markup=False)
        for change in account.leftovers:
            console.print(
                f"✗ {account.account_id}: still exists after the destroy: {change.text}", style="bold red", markup=False
            )
        if account.problem:
            console.print(f"✗ {account.account_id}: {account.problem}", style="bold red", markup=False)
    console.print(done.reason, markup=False)
    console.print(_summary(done), style="green" if done.passed else "bold red", markup=False)


def _summary(done: Rehearsal) -> str:
    applied = sum(module.outcome == "applied" for module in done.modules)
    skipped = sum(module.outcome == "skipped" for module in done.modules)
    text = f"{applied:,} of {len(done.modules):,} modules applied by {done.method} in {done.seconds:.0f} s"
    if skipped:
        text += f", {skipped:,} skipped"
    changed = sum(len(account.differences) for account in done.accounts)
    left = sum(len(account.leftovers) for account in done.accounts)
    comparison = "no differences from the plan" if not changed else f"{changed:,} differences from the plan"
    return f"{text}; {comparison}; {'no objects are left' if not left else f'{left:,} objects are left'}"


app = typer.Typer()
app.command(epilog=EXAMPLES)(rehearse)
