"""How marks look on a terminal."""

from __future__ import annotations

from rolecall_runner.tasks.verify.verdict import Mark

STYLES = {
    Mark.OK: "green",
    Mark.REFUSED: "green",
    Mark.SKIPPED: "cyan",
    Mark.INCONCLUSIVE: "yellow",
    Mark.UNREACHABLE: "magenta",
    Mark.FAILED: "bold red",
}
