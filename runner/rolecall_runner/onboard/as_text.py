"""How an onboarding ended, on a terminal: what is wrong and its mend, then the text for the customer, to be copied."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from rolecall_generator.console import print_lines
from rolecall_generator.text import one_line
from rolecall_runner.onboard.display import spell
from rolecall_runner.onboard.run import Onboarded
from rolecall_runner.rehearsal import REHEARSAL
from rolecall_runner.results.palette import STYLES
from rolecall_runner.results.shown import SIGNS, TROUBLES, said, shown
from rolecall_runner.status.report import Place
from rolecall_runner.tasks.verify.verdict import Mark

_RULE = "-" * 8


def print_onboarded(console: Console, ended: Onboarded, place: Place) -> None:
    """Print it. The text for the customer stands at the left edge and is not wrapped."""
    console.print(Text(one_line(headline(ended)), style=STYLES[Mark.OK if ended.verified else Mark.FAILED]))
    if not ended.verified:
        _print_troubles(console, ended)
    if ended.letter:
        name = one_line(ended.target.name)
        console.print(Text(f"{_RULE} message to {name} {_RULE}", style="cyan"))
        print_lines(console, ended.letter)
        console.print(Text(f"{_RULE} end of the message {_RULE}", style="cyan"))
    console.print(f"next: {next_step(ended, place)}", markup=False, soft_wrap=True)


def headline(ended: Onboarded) -> str:
    """How it ended, in a sentence; what a sandbox said is marked."""
    mark = f"{REHEARSAL}: " if ended.rehearsal else ""
    return f"{mark}{_headline(ended)}"


def _headline(ended: Onboarded) -> str:
    name = ended.target.name
    sign = SIGNS[ended.verdict.mark if ended.verified or ended.verdict.mark is not Mark.OK else Mark.FAILED]
    if ended.verified:
        return f"{sign} {name} is verified: all is as agreed (run {ended.run})"
    if ended.unseen:
        return (
            f"? {name} lets us in and all that was tried is as agreed (run {ended.run}), but no call shows whether the "
            f"newest module is applied: {'; '.join(ended.unseen)}"
        )
    if ended.run:
        return f"{sign} {name} lets us in, but the roll call did not end well: {ended.verdict.mark} (run {ended.run})"
    looks = "1 look" if ended.last.look == 1 else f"{ended.last.look:,} looks in {spell(ended.last.waited_seconds)}"
    return f"{sign} {name} does not let us in yet ({looks}): {ended.last.what}"


def next_step(ended: Onboarded, place: Place) -> str:
    """The command that leads on."""
    name = shlex.quote(ended.target.name)
    if ended.unseen:
        return f"{place.command(f'runner status {name} --applied')} when the customer says that it is applied"
    if not ended.verified:
        return place.command(f"runner onboard {name}")
    return place.command(f"gen bundle {name}" if place.rehearsal else "runner status")


def _print_troubles(console: Console, ended: Onboarded) -> None:
    verdict = shown(ended.verdict)
    for mark in TROUBLES:
        for rung in verdict.rungs:
            if rung.mark is mark:
                answer = f" (AWS: {said(rung)})" if said(rung) else ""
                line = one_line(" ".join(f"{rung.what}{answer}".split()))
                console.print(Text.assemble((f"  {SIGNS[mark]} {rung.step}  ", STYLES[mark]), line))
    for diagnosis in verdict.diagnoses:
        text = one_line(" ".join(diagnosis.vendor.split()))
        console.print(Text.assemble(("  likely cause: ", "bold"), f"{text} ", (f"[{diagnosis.cause}]", "dim")))
