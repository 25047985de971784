"""The causes that a roll call can name: each with the mend for the vendor and a text to send to the customer.

`docs/diagnosis.md` has a section for each id. The texts take `{account}`, `{role}` (name), `{role_arn}`, `{backend}`,
`{principal}` (the vendor's role as the trust must name it), `{customer}` (name) and `{detail}`: none of them a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rolecall_generator.iam.arn import parse_arn
from rolecall_runner.redact import redact
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.verdict import Diagnosis

_APPLY = (
    "In the folder of the module that we sent you, with credentials of account {account}, please run `terraform init` and "
    "`terraform apply`"
)


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `customer` "" where the customer has nothing to do."""

    vendor: str
    customer: str = ""


CAUSES: Mapping[str, Cause] = {
    "role-missing": Cause(
        "{role_arn} is not there, or the module is not applied yet: send {customer} its module and have it applied in "
        "account {account}; `aws iam get-role --role-name {role}` there tells.",
        "we cannot assume the role {role} in your account {account}: it seems not to be there yet. " + _APPLY + "; "
        "`aws iam get-role --role-name {role}` must then show the role.",
    ),
    "other-principal": Cause(
        "The trust policy of {role_arn} names another principal than {principal}: have {customer} apply the module as "
        "handed over; the role's trust policy in account {account} tells.",
        "the trust policy of the role {role} in your account {account} seems not to name our role {principal}. "
        + _APPLY
        + "; the plan must show the change of the trust policy.",
    ),
    "external-id-differs": Cause(
        "The external id in the trust policy of {role_arn} is not the manifest's: compare `sts:ExternalId` there with "
        "output/customers/{customer}/main.tf, and have the module applied again.",
        "the external id in the trust policy of the role {role} in your account {account} seems not to be the one that we "
        "gave you. " + _APPLY + "; please do not choose an id yourself.",
    ),
    "module-not-current": Cause(
        "{customer}'s module as it is written does not let {principal} in with the manifest's external id: run "
        "`gen terraform`, look at it with `gen check`, and hand the module over again.",
        "the module that you have for the role {role} in your account {account} is not the newest. We are sending you the "
        "newest; please apply it with `terraform apply` in account {account}.",
    ),
    "rotation-not-applied": Cause(
        "The role still takes the previous external id alone: {customer} has yet to apply the new module; keep "
        "previous_external_id in the manifest until then.",
        "the role {role} in your account {account} still has our previous external id. "
        + _APPLY
        + " with the newest module.",
    ),
    "retired-external-id": Cause(
        "The trust policy of {role_arn} still takes the external id of before the last rotation: {customer} has yet to "
        "apply the module as it is now, without that id.",
        "the role {role} in your account {account} still accepts our former external id. " + _APPLY + " with the newest "
        "module; the plan must show that the former id goes.",
    ),
    "no-external-id-condition": Cause(
        "The trust policy of {role_arn} has no condition on sts:ExternalId, so that whoever can make us act can reach this "
        "account: do not use the role until {customer} has applied the module as handed over.",
        "the role {role} in your account {account} can be assumed without an external id, which leaves your account open to "
        "the confused deputy problem. " + _APPLY + "; the trust policy must require sts:ExternalId with StringEquals.",
    ),
    "external-id-optional": Cause(
        "The trust policy of {role_arn} looks at the external id only when one is sent (an ...IfExists or Null condition): "
        "do not use the role until it is StringEquals, as in the module.",
        "the trust policy of the role {role} in your account {account} checks the external id only when one is sent. "
        + _APPLY
        + "; the condition must be StringEquals without IfExists.",
    ),
    "any-external-id": Cause(
        "The trust policy of {role_arn} takes any external id (a wildcard, or Null alone): do not use the role until it is "
        "StringEquals with {customer}'s own id, as in the module.",
        "the trust policy of the role {role} in your account {account} accepts any external id. "
        + _APPLY
        + "; the condition must be StringEquals with the one id that we gave you.",
    ),
    "foreign-external-id": Cause(
        "The trust policy of {role_arn} also takes an external id that belongs to another customer: have {customer} apply "
        "the module as handed over, and find out how it came by the other id.",
        "the trust policy of the role {role} in your account {account} accepts an external id that is not yours. "
        + _APPLY
        + "; the condition must list the one id that we gave you.",
    ),
    "no-external-id-agreed": Cause(
        "The manifest gives {customer} no external id: give it one, run `gen terraform` and hand over the module, or say in "
        "`suppress` (rule RC103) why this is right.",
        "the role {role} in your account {account} was set up without an external id. We are sending you a new module with "
        "one; please apply it with `terraform apply` in account {account}.",
    ),
    "trusts-whole-account": Cause(
        "The trust policy of {role_arn} lets in more than {principal}: every principal of account {backend} that may assume "
        "roles; have {customer} apply the module as handed over.",
        "the role {role} in your account {account} trusts our whole account {backend} instead of the one role {principal}. "
        + _APPLY
        + "; the trust policy must name that role alone.",
    ),
    "trusts-everybody": Cause(
        "The trust policy of {role_arn} lets in principals of any account: do not use the role; have {customer} apply the "
        "module as handed over at once.",
        "the role {role} in your account {account} can be assumed from any AWS account. Please act at once. "
        + _APPLY
        + "; the trust policy must name {principal} alone.",
    ),
    "backend-policy-lacks-role": Cause(
        "The policies of {principal} do not allow sts:AssumeRole on {role_arn}: {detail}run `gen terraform`, then apply "
        "output/backend in account {backend}.",
    ),
    "backend-policy-not-applied": Cause(
        "The written policies of {principal} allow it, but perhaps not those in the account: apply output/backend in "
        "account {backend}; afterwards `terraform plan` there must show no change.",
    ),
    "backend-role-recreated": Cause(
        "{principal} was deleted and made again, so that trust policies still name the old role's id (AROA...): every "
        "customer must save its trust policy again, by `terraform apply` of its module; `trust: account-root` avoids this.",
        "our role {principal} was made anew, and AWS has bound the trust policy of your role {role} in account {account} to "
        "the old one: it shows an id that starts with AROA. "
        + _APPLY
        + "; the plan must show the change of the trust policy.",
    ),
    "organization-policy": Cause(
        "A service control policy of {customer}'s organization denies it ({detail}): it must exempt the role {role} in "
        "account {account}.",
        "a service control policy of your organization denies our role {role} in account {account} what we agreed on "
        "({detail}). Please ask your organization's administrators to exempt the role.",
    ),
    "resource-control-policy": Cause(
        "A resource control policy of {customer}'s organization keeps outsiders out of account {account}: it must exempt "
        "our account {backend} (aws:PrincipalAccount).",
        "a resource control policy of your organization keeps us from the role {role} in account {account}. Please ask your "
        "organization's administrators to exempt our account {backend}, by a condition on aws:PrincipalAccount.",
    ),
    "permission-boundary": Cause(
        "The permissions boundary of {role_arn} does not allow it ({detail}): it must allow the action, or the permission "
        "must leave the manifest.",
        "the permissions boundary of the role {role} in your account {account} does not allow what we agreed on ({detail}). "
        "Please let the boundary allow it, or tell us that it shall not be.",
    ),
    "own-organization-policy": Cause(
        "A service control policy of our own organization denies {detail} to {principal}: it must exempt that role in "
        "account {backend}."
    ),
    "own-permission-boundary": Cause(
        "The permissions boundary of {principal} does not allow {detail} on {role_arn}: it must allow as much as the role's "
        "policies do."
    ),
    "session-tags-not-allowed": Cause(
        "The role can be assumed, but not with session tags or a source identity: {customer}'s trust policy (and ours) must "
        "allow sts:TagSession and sts:SetSourceIdentity; apply the module again, or set session_tags and source_identity to "
        "false.",
        "the trust policy of the role {role} in your account {account} does not let us pass session tags or a source "
        "identity, by which your CloudTrail shows our calls. " + _APPLY + ".",
    ),
    "session-too-long": Cause(
        "The session asked for is longer than the role's maximum, or than the hour of a chained session: set "
        "max_session_seconds in the manifest to what account {account} has, or have the module applied again.",
        "the role {role} in your account {account} has a shorter maximum session length than we agreed on. " + _APPLY + ".",
    ),
    "region-disabled": Cause(
        "{detail}STS is not active in the Region that was asked, for the account that was asked for: use --region with a "
        "Region that is active there, or have it activated.",
        "the Region that we use is not active for STS in your account {account}. Please activate it in the IAM console "
        "under Account settings, or tell us which Regions you use.",
    ),
    "clock-off": Cause("This machine's clock is off{detail}: set it by NTP (chronyd, systemd-timesyncd), then run again."),
    "throttled": Cause(
        "AWS throttled the calls to the end: run again with fewer workers (--forks), and see who else calls {backend}'s STS."
    ),
    "service-trouble": Cause("AWS answered with faults of its own to the end ({detail}): run again later."),
    "own-credentials-expired": Cause(
        "The credentials that the run started from have expired: renew them (an instance profile does so by itself), then "
        "run again."
    ),
    "own-credentials-invalid": Cause(
        "AWS does not know the credentials that the run started from ({detail}): see with `aws sts get-caller-identity`; "
        "keys may be wrong, deleted, or of another partition."
    ),
    "wrong-caller": Cause(
        "The run started as {detail}, but {customer} trusts {principal}: run on an instance with that role, or with a "
        "profile that assumes it."
    ),
    "identity-differs": Cause(
        "The session is another one than the role's ({detail}): something between us and AWS answers in its stead; look at "
        "AWS_ENDPOINT_URL and at proxies."
    ),
    "unsteady": Cause(
        "The role was assumed once and refused a moment later: somebody is changing trust or policies, or a change is still "
        "spreading through IAM; run again in some minutes."
    ),
    "network": Cause(
        "There was no answer of AWS ({detail}): see to network, proxy, DNS, TLS and VPC endpoint, then run again."
    ),
    "permission-missing": Cause(
        "The role is refused what was agreed ({detail}): {customer} has not applied the newest module, or has changed the "
        "role's policies; a policy on the resource itself may also say no.",
        "our role {role} in your account {account} is refused what we agreed on ({detail}). " + _APPLY + "; the plan shows "
        "what differs.",
    ),
    "more-than-agreed": Cause(
        "The role can do more than was agreed ({detail}): have {customer} apply the module as handed over, which takes "
        "inline policies back; policies attached beside it must be detached.",
        "our role {role} in your account {account} can do more than we agreed on ({detail}). " + _APPLY + ", and detach "
        "policies that the module does not name: we do not want them.",
    ),
    "drift": Cause(
        "The role is not as handed over: {detail}; have {customer} apply the newest module, or take the change into the "
        "manifest.",
        "the role {role} in your account {account} differs from the module that we handed over: {detail}. "
        + _APPLY
        + ", or "
        "tell us that the change is meant.",
    ),
    "configuration": Cause(
        "The configuration of the switch role is not as handed over: {detail}; apply both modules of output/switch-roles.",
        "the people's side of the role {role} in account {account} is not as agreed: {detail}. " + _APPLY + ".",
    ),
    "mfa-not-registered": Cause(
        "{detail}: have the person sign in and register a device under Security credentials; the group's policies allow it.",
        "before switching to the role {role}, the person must register an MFA device ({detail}): sign in to the console, "
        "open Security credentials, choose Assign MFA device, then sign out and in again with it.",
    ),
    "sandbox-limit": Cause(
        "The sandbox does not offer this ({detail}), see docs/sandbox.md: it says nothing about the account; real AWS will."
    ),
    "unknown": Cause("AWS answered what this project does not know ({detail}): see docs/diagnosis.md for how to go on."),
}


def told(cause: str, target: Target, detail: str = "") -> Diagnosis:
    """The cause in words for one target. `detail` is a part of a sentence, without secrets."""
    backend = parse_arn(target.backend_role_arn)
    words = {
        "account": target.account_id,
        "role": target.role_arn.rpartition("/")[2],
        "role_arn": target.role_arn,
        "principal": target.backend_role_arn or "our role",
        "backend": backend.account_id if backend else "of the vendor",
        "customer": target.name,
        "detail": redact(detail),
    }
    texts = CAUSES[cause]
    vendor = texts.vendor.format(**words)
    return Diagnosis(cause, vendor, f"Hello,\n\n{texts.customer.format(**words)}\n\nThank you." if texts.customer else "")
