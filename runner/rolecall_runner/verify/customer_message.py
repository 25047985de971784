"""The message to a customer with everything that the customer has to do.

The message explains how to apply the newest module. The status file has the form (Terraform, CloudFormation, script,
console) that a customer used. An unknown form is never guessed: `terraform apply` after CloudFormation ends in
EntityAlreadyExists.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from enum import StrEnum

from rolecall_runner.redact import REHEARSAL
from rolecall_runner.verify.verdict import Verdict

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
