"""The registry of causes, and the message to a customer with everything that the customer has to do.

A cause has a hint for the vendor and, if the customer has to act, a part of the message. To add a cause, add it to
`data/causes.toml`, a function that detects it to _DETECTORS, and a section for its ID to `docs/diagnosis.md`. Causes that
exclude each other have no such function: `diagnosis.py` decides between them.

The message explains how to apply the newest module. The status file has the form (Terraform, CloudFormation, script,
console) that a customer used. An unknown form is never guessed: `terraform apply` after CloudFormation ends in
EntityAlreadyExists.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

from rolecall_generator.iam import Arn
from rolecall_runner.inventory import Target
from rolecall_runner.redact import REHEARSAL, redact
from rolecall_runner.verify.verdict import RETIRED, WHICH, Check, Diagnosis, Step, Verdict


@dataclass(frozen=True, slots=True)
class Cause:
    """Templates of one cause. `customer` is empty if the customer has nothing to do.

    `update`: the customer has to apply the newest module; the message then has instructions for the customer's form.
    `while_waiting`: a few words on why the role cannot be assumed; the ID in words by default. `permanent`: it does not end
    while this process runs, whatever the customer applies. `own_side`: policies or credentials of the vendor refuse, which
    shows nothing about the customer. `detect`: a detail for the templates (or "") for each time that the failed check shows
    this cause.
    """

    vendor: str
    customer: str = ""
    update: bool = False
    while_waiting: str = ""
    permanent: bool = False
    own_side: bool = False
    detect: Callable[[Check], Iterable[str]] = lambda _check: ()


_DETECTORS: Mapping[str, Callable[[Check], Iterable[str]]] = {
    "retired-external-id": lambda check: [""] if check.evidence.get(WHICH) == RETIRED else [],
    "identity-differs": lambda check: [str(check.evidence.get("arn", check.what))] if check.step is Step.IDENTITY else [],
    "unsteady": lambda check: [""] if check.step is Step.ASSUME_AGAIN else [],
}
_TABLE: Any = tomllib.loads(files(__package__ or "").joinpath("data", "causes.toml").read_text(encoding="utf-8"))

CAUSES: dict[str, Cause] = {
    name: Cause(**entry, detect=_DETECTORS.get(name, lambda _check: ())) for name, entry in _TABLE.items()
}
"""By ID, from `data/causes.toml`."""


def diagnosis_of(cause: str, target: Target, detail: str = "") -> Diagnosis:
    """Fill the templates of a cause for one target. `detail` is redacted. Raises KeyError for an unknown cause."""
    backend = Arn.parse(target.backend_role_arn)
    values = {
        "account": target.account_id,
        "role": target.role_arn.rpartition("/")[2],
        "role_arn": target.role_arn,
        "principal": target.backend_role_arn or "our role",
        "backend": backend.account_id if backend else "of the vendor",
        "customer": target.name,
        "detail": redact(detail),
    }
    template = CAUSES[cause]
    return Diagnosis(cause, template.vendor.format(**values), template.customer.format(**values), template.update)


def refused_by_own_side(verdict: Verdict) -> bool:
    """Whether the vendor's own policies or credentials explain the failure: it shows nothing about the customer."""
    causes = {diagnosis.cause for diagnosis in verdict.diagnoses}
    return "wrong-caller" in causes or (bool(causes) and all(cause in CAUSES and CAUSES[cause].own_side for cause in causes))


_GREETING, _CLOSING = "Hello,", "Thank you."
_COLUMNS = 78


class Form(StrEnum):
    """The ways to apply a module; the values are folders of the bundle."""

    TERRAFORM = "terraform"
    CLOUDFORMATION = "cloudformation"
    AWS_CLI = "aws-cli"
    CONSOLE = "console"


UPDATES: Mapping[Form, str] = {
    Form.TERRAFORM: "Terraform: in the folder where you applied the module, replace its files with the newest ones and run "
    "`terraform init` and `terraform apply` with credentials of account {account}. Keep the state; do not start in a new "
    "folder.",
    Form.CLOUDFORMATION: "CloudFormation: open the stack that you created for us in account {account}, choose Update, "
    "Replace existing template, and upload the newest cloudformation/template.json. Do not create a second stack.",
    Form.AWS_CLI: "Script: run the newest aws-cli/apply.sh with credentials of account {account}. It updates the role "
    "that it made before.",
    Form.CONSOLE: "Console: follow the newest console/walkthrough.md in account {account} and edit the existing role to "
    "match. Do not create a second role.",
}
"""Instructions for applying the newest module; the templates take `{account}`."""

_UNKNOWN = (
    "If you have applied them before, please use the same method again; with another one, AWS reports that the "
    "role exists already (EntityAlreadyExists). If you are not sure: a stack of ours in the CloudFormation "
    "console means CloudFormation, a folder with a terraform.tfstate or a Terraform workspace means Terraform; "
    "otherwise it was the script or the console."
)


def _update_steps(form: str, account_id: str) -> list[str]:
    """Paragraphs on how to apply the newest module: of a known form, else of all forms with how to find out which."""
    known = [Form(form)] if form in set(Form) else list(Form)
    steps = [UPDATES[each].format(account=account_id) for each in known]
    if len(steps) == 1:
        return [f"To update, {steps[0].partition(': ')[2]}"]
    return ["To update, apply the newest files that we sent you.", _UNKNOWN, *(f"- {step}" for step in steps)]


def customer_message(verdict: Verdict, closing: Iterable[str] = ()) -> str:
    """The message with everything that the customer has to do, without secrets; empty if there is nothing.

    Several causes are numbered. `closing`: paragraphs before the end. Lines have at most 78 characters, except indented
    blocks, which are meant to be copied.
    """
    asked = [diagnosis for diagnosis in verdict.diagnoses if diagnosis.customer]
    if not asked:
        return ""
    if len(asked) == 1:
        paragraphs = asked[0].customer.split("\n\n")
    else:
        summary = (
            f"the access to your AWS account {verdict.account_id} is not as agreed yet. We found the following; where AWS "
            "does not say which of several causes it is, the likeliest comes first:"
        )
        paragraphs = [summary]
        for number, diagnosis in enumerate(asked, 1):
            first, *rest = diagnosis.customer.split("\n\n")
            paragraphs += [f"{number}. {first[:1].upper()}{first[1:]}", *rest]
    if any(diagnosis.update for diagnosis in asked):
        paragraphs += _update_steps(verdict.form, verdict.account_id)
    return join_message((_wrapped(part) for part in (*paragraphs, *closing)), rehearsal=verdict.rehearsal)


def join_message(paragraphs: Iterable[str], *, rehearsal: bool) -> str:
    """A message of these paragraphs (empty ones are left out) with greeting and closing; a rehearsal's has a warning."""
    warning = f"[{REHEARSAL}: do not send this]" if rehearsal else ""
    return "\n\n".join(part for part in (warning, _GREETING, *paragraphs, _CLOSING) if part) + "\n"


def _wrapped(paragraph: str) -> str:
    """Wrap a paragraph at 78 characters; indented blocks are unchanged."""
    if paragraph.startswith("    "):
        return paragraph
    indent = "  " if paragraph.startswith("- ") else ""
    return textwrap.fill(
        " ".join(paragraph.split()),
        _COLUMNS,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
