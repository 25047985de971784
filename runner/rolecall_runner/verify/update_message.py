"""The one message to a customer: all findings of a roll call, and how to apply the newest module by the customer's own way.

Which way a customer used (Terraform, CloudFormation, the script, the console) is kept in the status file. Someone who used
CloudFormation and is told to run `terraform apply` ends in EntityAlreadyExists, so an unknown way is never guessed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from enum import StrEnum

from rolecall_runner.redact import REHEARSAL
from rolecall_runner.verify.verdict import Verdict

HELLO, THANKS = "Hello,", "Thank you."
_COLUMNS = 78


class Form(StrEnum):
    """The ways by which a customer can apply a module; names of the bundle's folders."""

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
"""How to apply the newest module, by the way that the customer used. The texts take `{account}`."""

_UNKNOWN = (
    "If you have applied them before, please use the same way again; with another one AWS answers that the "
    "role exists already (EntityAlreadyExists). If you are not sure: a stack of ours in the CloudFormation "
    "console means CloudFormation, a folder with a terraform.tfstate or a Terraform workspace means Terraform; "
    "otherwise it was the script or the console."
)


def update_steps(form: str, account_id: str) -> list[str]:
    """Paragraphs that say how to apply the newest module: one for a known way, else all of them and how to tell."""
    known = [Form(form)] if form in set(Form) else list(Form)
    steps = [UPDATES[each].format(account=account_id) for each in known]
    if len(steps) == 1:
        return [f"To update, {steps[0].partition(': ')[2]}"]
    return ["To update, apply the newest files that we sent you.", _UNKNOWN, *(f"- {step}" for step in steps)]


def customer_message(verdict: Verdict, closing: Iterable[str] = ()) -> str:
    """One message with all that the customer has to do, without secrets; "" when there is nothing.

    Several causes are numbered. `closing` are paragraphs to put before the thanks. Lines end after 78 characters, but for
    what is to be copied.
    """
    asked = [diagnosis for diagnosis in verdict.diagnoses if diagnosis.customer]
    if not asked:
        return ""
    paragraphs = [f"[{REHEARSAL}: do not send this]"] if verdict.rehearsal else []
    paragraphs.append(HELLO)
    if len(asked) == 1:
        paragraphs += asked[0].customer.split("\n\n")
    else:
        paragraphs.append(
            f"the access to your AWS account {verdict.account_id} is not as agreed yet. We found the following; where AWS "
            "does not tell which of several causes it is, the likeliest comes first:"
        )
        for number, diagnosis in enumerate(asked, 1):
            first, *rest = diagnosis.customer.split("\n\n")
            paragraphs += [f"{number}. {first[:1].upper()}{first[1:]}", *rest]
    if any(diagnosis.update for diagnosis in asked):
        paragraphs += update_steps(verdict.form, verdict.account_id)
    return "\n\n".join(_filled(part) for part in (*paragraphs, *closing, THANKS) if part) + "\n"


def _filled(paragraph: str) -> str:
    """A paragraph in lines of 78 characters; indented text stays as it is."""
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
