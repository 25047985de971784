"""The grammar of our CloudFormation templates: sections, the guard, texts and references; all else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rolecall_generator.handover.forms.cloudformation_documents import CloudFormationError, check_texts
from rolecall_generator.handover.forms.cloudformation_template import FORMAT_VERSION, GUARD
from rolecall_generator.iam.arn import parse_arn

SECTIONS = {"AWSTemplateFormatVersion", "Description", "Rules", "Parameters", "Resources", "Outputs"}
_RESOURCE_KEYS = {"Type", "Properties", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}

Json = Mapping[str, Any]


def parse_template(text: str) -> Json:
    """The template's sections, none of them unknown. Raises CloudFormationError."""
    try:
        template = json.loads(text, object_pairs_hook=_once)
    except ValueError as error:
        raise CloudFormationError(f"it is not JSON: {error}", where="the template", mend="generate it again") from error
    if not isinstance(template, Mapping):
        raise refused("the template", "it as a whole")
    if unknown := template.keys() - SECTIONS:
        raise refused("the template", f"the section {min(unknown)}")
    if template.get("AWSTemplateFormatVersion") != FORMAT_VERSION:
        raise refused("the template", "its format version")
    # Written anew, so that no escape hides anything.
    check_texts(json.dumps(template), "the template")
    return template


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys come once: the second would hide the first."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice in one object")
    return found


def refused(where: str, what: str) -> CloudFormationError:
    """The error for something that we do not write; `where` is its place in the template."""
    return CloudFormationError(f"{what} is nothing that rolecall writes", where=where, mend="generate the template again")


def guarded_account(rules: Any) -> str:
    """The account that the guard binds the template to."""
    try:
        (rule,) = rules.items()
        (assertion,) = rule[1]["Assertions"]
        reference, account_id = assertion["Assert"]["Fn::Equals"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise refused("Rules", "the guard") from error
    whole = {"Assertions": [{"Assert": {"Fn::Equals": [reference, account_id]}, **_description(assertion)}]}
    if rule != (GUARD, whole) or reference != {"Ref": "AWS::AccountId"} or not isinstance(account_id, str):
        raise refused("Rules", "the guard")
    return account_id


def _description(assertion: Json) -> dict[str, Any]:
    return {key: value for key, value in assertion.items() if key == "AssertDescription"}


def resources_of(template: Json) -> dict[str, dict[str, Any]]:
    """Type and properties by logical id."""
    found = template.get("Resources")
    if not isinstance(found, Mapping):
        raise refused("the template", "a template without resources")
    for name, resource in found.items():
        if not isinstance(resource, Mapping) or not {"Type", "Properties"} <= resource.keys() <= _RESOURCE_KEYS:
            raise refused(f"Resources.{name}", "the resource's form")
        if not isinstance(resource["Properties"], Mapping):
            raise refused(f"Resources.{name}", "the properties' form")
    return dict(found)


def text_of(value: Any, where: str) -> str:
    """A plain text: no function, no number."""
    if not isinstance(value, str):
        raise refused(where, f"{json.dumps(value)[:80]} in the place of a text")
    return value


def reference_of(value: Any, where: str) -> str:
    """The name in `{"Ref": name}`."""
    if not isinstance(value, Mapping) or value.keys() != {"Ref"}:
        raise refused(where, f"{json.dumps(value)[:80]} in the place of a reference")
    return text_of(value["Ref"], where)


def policy_arn_of(value: Any, where: str) -> str:
    """ARN of a managed policy that is no resource of the template."""
    arn = text_of(value, where)
    if parse_arn(arn) is None:
        raise refused(where, f"{arn} in the place of an ARN")
    return arn


def tags_of(properties: dict[str, Any], where: str) -> dict[str, str]:
    """The tags among a resource's properties, taken out of them."""
    found: dict[str, str] = {}
    for tag in properties.pop("Tags", ()):
        if not isinstance(tag, Mapping) or tag.keys() != {"Key", "Value"}:
            raise refused(where, "a tag's form")
        found[text_of(tag["Key"], where)] = text_of(tag["Value"], where)
    return found
