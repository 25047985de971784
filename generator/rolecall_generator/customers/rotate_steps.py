"""What a person does after a step of a rotation."""

from __future__ import annotations

from pathlib import Path

from rolecall_generator.command_line import command_line
from rolecall_generator.customers.next_steps import Step, after_change
from rolecall_generator.plan.customer import customer_path


def after_rotation(manifest: Path, out: Path, name: str, *, started: bool) -> tuple[Step, ...]:
    """Steps after a rotation was started, or ended. The backend's module names roles, not ids: it needs no apply."""
    steps = list(after_change(manifest, out, name, {customer_path(name)}))
    if started:
        finish = command_line(f"gen customer rotate-external-id {name} --finish", manifest, out)
        steps.append(Step(finish, "when runner verify saw the new id"))
    return tuple(steps)


def rotation_remark(name: str, *, started: bool) -> str:
    """What holds meanwhile, in a sentence."""
    if started:
        return f"Until {name} applies, the runner goes on with the previous id; the new module takes both."
    return f"Once {name} has applied, runner verify sees the id that went refused."
