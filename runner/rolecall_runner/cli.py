"""The command `runner`: composed of the groups in `commands`."""

from __future__ import annotations

from typing import Annotated

import typer

from rolecall_generator.console import SafeTyper, emit
from rolecall_runner.commands import daily, onboard, play, query, rehearse, sandbox, sql, status, verify

app = SafeTyper(
    name="runner",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The roll call in live accounts: rehearse, verify, query.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from rolecall_runner import __version__  # noqa: PLC0415 - looked up only when asked for

        emit(f"rolecall {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """The roll call in live accounts: rehearse, verify, query."""


app.add_typer(sandbox.app, name="sandbox")
app.command(epilog=rehearse.EXAMPLES)(rehearse.rehearse)
app.command(epilog=verify.EXAMPLES)(verify.verify)
app.command(epilog=query.EXAMPLES)(query.query)
app.command(epilog=sql.EXAMPLES)(sql.sql)
app.command(epilog=play.EXAMPLES)(play.play)
app.command("switch-url", epilog=daily.SWITCH_URL_EXAMPLES)(daily.switch_url)
app.command(epilog=daily.CONSOLE_EXAMPLES)(daily.console)
app.command(epilog=daily.SHELL_EXAMPLES)(daily.shell)
app.command(epilog=daily.HISTORY_EXAMPLES)(daily.history)
app.command(epilog=onboard.EXAMPLES)(onboard.onboard)
app.command(epilog=status.EXAMPLES)(status.status)
