"""What the sources of an import hand on: the accounts that they name, each with its place, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.manifest.tree import START, Point

Value = str | int | bool | Sequence[str] | Mapping[str, str]
"""What one field of a customer holds."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account that a source names.

    `name` as the source has it, any text. `fields`: fields of a customer that the source gives, besides its name.
    `at` is where it stands in `file`, from 0; `marks` where its fields stand, where a source knows that. `partition` is ""
    where the source names none.
    """

    name: str
    fields: Mapping[str, Value]
    file: str
    at: Point = START
    marks: Mapping[str, Point] = field(default_factory=dict)
    partition: str = ""

    @property
    def account_id(self) -> str:
        """Its 12 digits; "" when the source has none."""
        return str(self.fields.get("account_id", ""))

    @property
    def role(self) -> str | None:
        """The role's name, where the source names one."""
        role = self.fields.get("role")
        return role if isinstance(role, str) else None

    def problem(self, of: str, what: str, mend: str) -> Problem:
        """A problem at the place of a field."""
        mark = self.marks.get(of, self.at)
        return Problem(self.file, mark.line + 1, mark.column + 1, what, mend)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An account that is not imported, and why; `differs`: the source says otherwise than the manifest."""

    name: str
    account_id: str
    why: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source was read to. `source` is what people call it; `ignored`: columns that no field was found for.

    `notes` are sentences that a person should read before agreeing. `from_customers`: the customers wrote it, so that it
    proves whose it is by its content, and chooses no external id.
    """

    source: str
    accounts: tuple[Account, ...]
    left_out: tuple[LeftOut, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    from_customers: bool = False


class ImportProblemsError(ManifestError):
    """What was to be imported is wrong; `problems` holds everything found, and nothing was imported.

    `accounts`: what a reader could read all the same; whoever has the manifest can say what else is wrong of them.
    """

    def __init__(self, problems: Sequence[Problem], accounts: Sequence[Account] = ()) -> None:
        self.accounts = tuple(accounts)
        super().__init__(sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column)))
        noun = "problem" if len(self.problems) == 1 else "problems"
        self.what = f"{len(self.problems):,} {noun}: nothing was imported"
