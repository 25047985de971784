"""The registry of causes, and the message to a customer with everything that the customer has to do.

A cause has a hint for the vendor and, if the customer has to act, a part of the message. To add a cause, add it to CAUSES
with a function that detects it, and a section for its ID to `docs/diagnosis.md`. Causes that exclude each other have no such
function: `diagnosis.py` decides between them. The templates take `{account}`, `{role}` (name), `{role_arn}`, `{backend}`,
`{principal}` (the vendor's role as the trust policy must name it), `{customer}` (name) and `{detail}`, none of them secret.

The message explains how to apply the newest module. The status file has the form (Terraform, CloudFormation, script,
console) that a customer used. An unknown form is never guessed: `terraform apply` after CloudFormation ends in
EntityAlreadyExists.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

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


CAUSES: dict[str, Cause] = {
    "newer-module-not-applied": Cause(
        "The newer module has not been applied yet: {detail}. Send {customer} its newest module; the role still works as an "
        "earlier module set it up.",
        "there is a newer version of the setup for the role {role} in your account {account}, and it has not "
        "been applied yet ({detail}). Nothing is wrong on your side.",
        update=True,
    ),
    "role-missing": Cause(
        "{role_arn} does not exist, or the module has not been applied yet: send {customer} its module and "
        "have it applied in account {account}. `aws iam get-role --role-name {role}` there shows whether the "
        "role exists.",
        "we cannot assume the role {role} in your account {account}: it does not seem to exist yet. Afterwards "
        "`aws iam get-role --role-name {role}` must show the role.",
        update=True,
        while_waiting="the role does not exist",
    ),
    "other-principal": Cause(
        "The trust policy of {role_arn} names another principal than {principal}: have {customer} apply the newest module. "
        "The role's trust policy in account {account} shows which one.",
        "the trust policy of the role {role} in your account {account} does not seem to name our role {principal}.",
        update=True,
        while_waiting="its trust policy names another principal",
    ),
    "external-id-differs": Cause(
        "The external ID in the trust policy of {role_arn} differs from the manifest: compare `sts:ExternalId` there with "
        "output/customers/{customer}/main.tf, and have the newest module applied.",
        "the external ID in the trust policy of the role {role} in your account {account} does not seem to be "
        "the one that we gave you. Please do not choose an ID yourself.",
        update=True,
        while_waiting="it refuses our external ID",
    ),
    "module-not-current": Cause(
        "{customer}'s module in the output folder does not allow {principal} to assume the role with the manifest's "
        "external ID: run `gen terraform`, review it with `gen check`, and send the module again.",
        "the module that you have for the role {role} in your account {account} is out of date. We are sending "
        "you the newest.",
        update=True,
        while_waiting="the generated module does not allow us: run gen terraform",
    ),
    "rotation-not-applied": Cause(
        "The role accepts only the previous external ID: {customer} has not applied the new module yet. Keep "
        "previous_external_id in the manifest until then.",
        "the role {role} in your account {account} still has our previous external ID. We have sent you a newer module with "
        "the new one.",
        update=True,
        while_waiting="it accepts only the previous external ID",
    ),
    "retired-external-id": Cause(
        "The trust policy of {role_arn} still accepts the external ID that the last rotation retired: {customer} has not "
        "applied the newest module, which no longer has that ID.",
        "the role {role} in your account {account} still accepts our former external ID. The update removes it.",
        update=True,
        detect=lambda check: [""] if check.evidence.get(WHICH) == RETIRED else [],
    ),
    "no-external-id-condition": Cause(
        "The trust policy of {role_arn} has no condition on sts:ExternalId, so anyone who can make us act can reach this "
        "account. Do not use the role until {customer} has applied the module.",
        "the role {role} in your account {account} can be assumed without an external ID, which leaves your account open to "
        "the confused deputy problem. The trust policy must require sts:ExternalId with StringEquals.",
        update=True,
    ),
    "external-id-optional": Cause(
        "The trust policy of {role_arn} checks the external ID only when one is sent (an ...IfExists or Null condition). Do "
        "not use the role until the condition is StringEquals, as in the module.",
        "the trust policy of the role {role} in your account {account} checks the external ID only when one is sent. The "
        "condition must be StringEquals without IfExists.",
        update=True,
    ),
    "any-external-id": Cause(
        "The trust policy of {role_arn} accepts any external ID (a wildcard, or only a Null condition). Do not use the role "
        "until the condition is StringEquals with {customer}'s own ID, as in the module.",
        "the trust policy of the role {role} in your account {account} accepts any external ID. The condition must be "
        "StringEquals with the one ID that we gave you.",
        update=True,
    ),
    "foreign-external-id": Cause(
        "The trust policy of {role_arn} also accepts an external ID that belongs to another customer: have {customer} apply "
        "the module, and find out where the other ID comes from.",
        "the trust policy of the role {role} in your account {account} accepts an external ID that is not "
        "yours. The condition must list only the ID that we gave you.",
        update=True,
    ),
    "no-external-id-agreed": Cause(
        "The manifest has no external ID for {customer}: add one, run `gen terraform` and send the module, or suppress rule "
        "RC103 with the reason.",
        "the role {role} in your account {account} was set up without an external ID. We are sending you a new module with "
        "one.",
        update=True,
    ),
    "trusts-whole-account": Cause(
        "The trust policy of {role_arn} allows more than {principal}: every principal of account {backend} that may assume "
        "roles. Have {customer} apply the module.",
        "the role {role} in your account {account} trusts our whole account {backend} instead of the one role "
        "{principal}. The trust policy must name only that role.",
        update=True,
    ),
    "trusts-everyone": Cause(
        "The trust policy of {role_arn} allows principals of any account. Do not use the role; have {customer} apply the "
        "module at once.",
        "the role {role} in your account {account} can be assumed from any AWS account. Please act at once. "
        "The trust policy must name only {principal}.",
        update=True,
    ),
    "trust-policy-denies": Cause(
        "The trust policy of {role_arn} denies the request explicitly ({detail}): {customer} must remove that "
        "Deny statement or exempt {principal} from it.",
        "the trust policy of the role {role} in your account {account} has a Deny statement that keeps us out ({detail}). "
        "Please remove it, or exempt {principal} from it.",
    ),
    "backend-policy-lacks-role": Cause(
        "The policies of {principal} do not allow sts:AssumeRole on {role_arn}: {detail}run `gen terraform`, then apply "
        "output/backend in account {backend}.",
        while_waiting="our backend role may not assume it: apply output/backend",
    ),
    "backend-policy-not-applied": Cause(
        "The policies of {principal} in the output folder allow it, but perhaps those in the account do not: apply "
        "output/backend in account {backend}; afterwards `terraform plan` there must show no change.",
        while_waiting="output/backend may not be applied",
    ),
    "backend-role-recreated": Cause(
        "{principal} was deleted and created again, so trust policies still hold the unique ID of the old role (AROA...). "
        "Every customer must save its trust policy again by applying its module; `trust: account-root` avoids this.",
        "our role {principal} was created again, and AWS has bound the trust policy of your role {role} in "
        "account {account} to the old one: it shows an ID that starts with AROA. The trust policy must be "
        "saved again.",
        update=True,
        while_waiting="its trust policy has the unique ID of a deleted backend role",
    ),
    "organization-policy": Cause(
        "A service control policy of {customer}'s organization denies it ({detail}): it must exempt the role {role} in "
        "account {account}.",
        "a service control policy of your organization denies our role {role} in account {account} what we agreed on "
        "({detail}). Please ask your organization's administrators to exempt the role.",
    ),
    "resource-control-policy": Cause(
        "A resource control policy of {customer}'s organization keeps outsiders out of account {account} "
        "({detail}): it must exempt our account {backend} by aws:PrincipalAccount, or the role by the tag "
        "dp:exclude:identity = true. If {customer} chooses the tag, add it to the customer's `tags` in the "
        "manifest as well, so that the next apply keeps it.",
        "a resource control policy of your organization keeps us from the role {role} in account {account} "
        "({detail}). Please ask your organization's administrators for one of these two exemptions.\n\n"
        "Either add our account to the condition on aws:PrincipalAccount in the Deny statement:\n\n    "
        '"Condition": {{\n      '
        '"StringNotEqualsIfExists": {{\n        '
        '"aws:PrincipalAccount": ["{backend}"]\n      '
        "}}\n    "
        "}}\n\n"
        "Or exempt only this role by its tag:\n\n    "
        "aws iam tag-role --role-name {role} --tags Key=dp:exclude:identity,Value=true\n\n"
        "where the Deny statement has this condition, as in AWS's reference policy:\n\n    "
        '"Condition": {{\n      '
        '"StringNotEqualsIfExists": {{\n        '
        '"aws:ResourceTag/dp:exclude:identity": "true"\n      '
        "}}\n    "
        "}}",
        while_waiting="a policy of the customer's organization refuses us",
    ),
    "resource-policy-denies": Cause(
        "A policy on the resource itself (a bucket, a key) refuses it ({detail}): it must allow {role_arn}.",
        "a policy on the resource itself, such as a bucket policy, refuses our role {role} in account "
        "{account} what we agreed on ({detail}). Please let that policy allow the role.",
    ),
    "permission-boundary": Cause(
        "The permissions boundary of {role_arn} does not allow it ({detail}): it must allow the action, or the permission "
        "must leave the manifest.",
        "the permissions boundary of the role {role} in your account {account} does not allow what we agreed on ({detail}). "
        "Please let the boundary allow it, or tell us that it should stay forbidden.",
    ),
    "role-policy-denies": Cause(
        "An identity-based policy on {role_arn} denies it explicitly ({detail}): {customer} has attached a policy that the "
        "module does not have; it must be detached, or exempt the action.",
        "a policy attached to the role {role} in your account {account} denies explicitly what we agreed on "
        "({detail}). Please detach that policy, or remove its Deny statement.",
    ),
    "own-policy-denies": Cause(
        "An identity-based policy of our own denies {detail} to {principal} explicitly: remove that Deny "
        "statement, or exempt {role_arn} from it, in account {backend}. {customer} has nothing to do.",
        own_side=True,
    ),
    "own-session-policy": Cause(
        "The session policy under which this run acts does not allow {detail}: start the run from a session whose policy "
        "allows it (the session policy was passed when the session was created). {customer} has nothing to do.",
        own_side=True,
    ),
    "own-endpoint-policy": Cause(
        "The policy of the VPC endpoint through which this run reaches AWS does not allow {detail}: allow it "
        "in the endpoint policy of our own VPC. {customer} has nothing to do.",
        own_side=True,
    ),
    "own-organization-policy": Cause(
        "A service control policy of our own organization denies {detail} to {principal}: it must exempt that role in "
        "account {backend}.",
        while_waiting="a policy of our own organization refuses us",
        own_side=True,
    ),
    "own-permission-boundary": Cause(
        "The permissions boundary of {principal} does not allow {detail} on {role_arn}: it must allow as much as the role's "
        "policies do.",
        while_waiting="our own permissions boundary refuses us",
        own_side=True,
    ),
    "session-tags-not-allowed": Cause(
        "The role can be assumed, but not with session tags or a source identity: {customer}'s trust policy "
        "(and our own policy) must allow sts:TagSession and sts:SetSourceIdentity. Have the module applied "
        "again, or set session_tags and source_identity to false.",
        "the trust policy of the role {role} in your account {account} does not let us pass session tags or a source "
        "identity, by which your CloudTrail shows our calls.",
        update=True,
        while_waiting="it refuses session tags or the source identity",
    ),
    "session-too-long": Cause(
        "The requested session is longer than the role's maximum, or than the hour of a chained session: set "
        "max_session_seconds in the manifest to what account {account} has, or have the module applied again.",
        "the role {role} in your account {account} has a shorter maximum session duration than we agreed on.",
        update=True,
        while_waiting="its maximum session duration is shorter than requested",
    ),
    "region-disabled": Cause(
        "{detail}STS is not active in the Region that was used, for the account that was called: use --region with a Region "
        "that is active there, or have it activated.",
        "the Region that we use is not active for STS in your account {account}. Please activate it in the IAM console "
        "under Account settings, or tell us which Regions you use.",
        while_waiting="STS is not active in this Region",
    ),
    "clock-off": Cause(
        "This machine's clock is off{detail}: set it by NTP (chronyd, systemd-timesyncd), then run again.",
        while_waiting="this machine's clock is wrong",
    ),
    "throttled": Cause(
        "AWS throttled every attempt: run again with fewer workers (--forks), and check who else calls {backend}'s STS.",
        while_waiting="AWS throttles the calls",
    ),
    "service-trouble": Cause(
        "AWS returned internal errors on every attempt ({detail}): run again later.",
        while_waiting="AWS returns internal errors",
    ),
    "own-credentials-expired": Cause(
        "The credentials that the run started from have expired: renew them (an instance profile does so by itself), then "
        "run again.",
        while_waiting="our own credentials have expired",
        permanent=True,
    ),
    "own-credentials-invalid": Cause(
        "AWS rejected the credentials that the run started from ({detail}): check with `aws sts get-caller-identity`; "
        "keys may be wrong, deleted, or of another partition.",
        while_waiting="AWS rejected our own credentials",
        permanent=True,
    ),
    "wrong-caller": Cause(
        "The run started as {detail}, but {customer} trusts {principal}: run on an instance with that role, or with a "
        "profile that assumes it.",
        while_waiting="we are not the backend role that it trusts",
        permanent=True,
        own_side=True,
    ),
    "identity-differs": Cause(
        "The session does not belong to the role ({detail}): something between this machine and AWS responds instead; check "
        "AWS_ENDPOINT_URL and proxies.",
        detect=lambda check: [str(check.evidence.get("arn", check.what))] if check.step is Step.IDENTITY else [],
    ),
    "unsteady": Cause(
        "The role was assumed once and refused a moment later: someone is changing the trust policy or other policies, or a "
        "change is still propagating through IAM; run again in a few minutes.",
        detect=lambda check: [""] if check.step is Step.ASSUME_AGAIN else [],
    ),
    "network": Cause(
        "AWS did not respond ({detail}): check network connection, proxy, DNS, TLS and VPC endpoint, then run again.",
        while_waiting="AWS cannot be reached",
    ),
    "permission-missing": Cause(
        "The role is denied agreed access ({detail}): {customer} has not applied the newest module, or the "
        "role's policies were changed; a policy on the resource itself may also refuse it.",
        "our role {role} in your account {account} is denied access that we agreed on ({detail}).",
        update=True,
    ),
    "more-than-agreed": Cause(
        "The role can do more than was agreed ({detail}): have {customer} apply the newest module, which "
        "restores the inline policies; policies attached to the role in addition must be detached.",
        "our role {role} in your account {account} can do more than we agreed on ({detail}), and we do not "
        "want that. Please also detach policies that the module does not name.",
        update=True,
    ),
    "drift": Cause(
        "The role differs from the module: {detail}. Have {customer} apply the newest module, or take the change into the "
        "manifest.",
        "the role {role} in your account {account} differs from the module that we sent you: {detail}. If the change is "
        "intended, please tell us instead.",
        update=True,
    ),
    "configuration": Cause(
        "The switch role is not configured as in its modules: {detail}. Apply both modules of output/switch-roles.",
        "the users and groups for the role {role} in account {account} are not set up as agreed: {detail}.",
        update=True,
    ),
    "mfa-not-registered": Cause(
        "{detail}: have the person sign in and register a device under Security credentials; the group's policies allow it.",
        "before switching to the role {role}, the person must register an MFA device ({detail}): sign in to the console, "
        "open Security credentials, choose Assign MFA device, then sign out and in again with it.",
    ),
    "sandbox-limit": Cause(
        "The sandbox does not simulate this ({detail}), see docs/sandbox.md. The result does not concern the account.",
        while_waiting="the sandbox does not simulate this",
        permanent=True,
    ),
    "unknown": Cause("AWS returned an error that rolecall does not recognize ({detail}): see docs/diagnosis.md."),
}


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
    "If you have applied them before, please use the same way again; with another one AWS answers that the "
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
