"""Templates of stacks: parameters, rules, the order of resources, and the functions that the sandbox's CloudFormation has.

What it does not have is refused by name: nothing of a template is left out silently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_runner.sandbox.aws_refusal import NOT_OFFERED, AwsRefusalError, invalid
from rolecall_runner.sandbox.stack_resources import Resource, known_kind

_SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Resources", "Outputs"}
_DELETION_POLICIES = {"Delete", "Retain", "RetainExceptOnCreate"}
_OF_RESOURCES = {"Type", "Properties", "Metadata", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy"}
_HIDDEN = "****"
"""What DescribeStacks shows of a NoEcho parameter."""
_PAIR = 2
_FUNCTIONS = {"Fn::GetAtt", "Fn::Join"}

Json = dict[str, Any]


def not_offered(what: str) -> AwsRefusalError:
    """The refusal of something that real CloudFormation has."""
    return AwsRefusalError("SandboxUnsupported", f"The sandbox's CloudFormation does not offer {what}.", NOT_OFFERED)


def parse_template(text: str) -> Json:
    """A template in JSON. Raises AwsRefusalError for anything else, and for what the sandbox does not offer."""
    try:
        template = json.loads(text)
    except ValueError as error:
        raise invalid(f"Template format error: JSON not well-formed. ({error})") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict) or not template["Resources"]:
        raise invalid("Template format error: At least one Resources member must be defined.")
    if unknown := template.keys() - _SECTIONS:
        raise not_offered(f"the section {min(unknown)}")
    for name, resource in template["Resources"].items():
        if unknown := resource.keys() - _OF_RESOURCES:
            raise not_offered(f"{min(unknown)} on a resource ({name})")
        if not known_kind(resource["Type"]):
            raise not_offered(f"resources of type {resource['Type']}")
        if resource.get("DeletionPolicy", "Delete") not in _DELETION_POLICIES:
            raise not_offered("another DeletionPolicy than Delete, Retain and RetainExceptOnCreate")
        _check_functions(resource.get("Properties", {}))
    _check_functions(template.get("Outputs", {}))
    return template


def _check_functions(value: Any) -> None:
    """Refuse unknown functions before anything is made."""
    if isinstance(value, list):
        for item in value:
            _check_functions(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("Fn::") and key not in _FUNCTIONS:
                raise not_offered(key)
            _check_functions(item)


@dataclass(slots=True)
class Scope:
    """What a template's functions see: pseudo parameters, parameters, and the resources that stand by now."""

    values: dict[str, str] = field(repr=False)
    resources: dict[str, Resource] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """A value with its functions carried out. Raises AwsRefusalError."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = next(iter(value), "")
        if len(value) == 1 and name == "Ref":
            return self._ref(value[name])
        if len(value) == 1 and name == "Fn::GetAtt":
            return self._attribute(*value[name])
        if len(value) == 1 and name == "Fn::Join":
            separator, parts = value[name]
            return separator.join(self.resolve(parts))
        return {key: self.resolve(item) for key, item in value.items()}

    def holds(self, condition: Json) -> bool:
        """Whether a rule's assertion holds. Raises AwsRefusalError for functions but Equals and Contains."""
        ((name, arguments),) = condition.items()
        if name == "Fn::Equals" and len(arguments) == _PAIR:
            one, other = self.resolve(arguments)
            return bool(one == other)
        if name == "Fn::Contains" and len(arguments) == _PAIR:
            many, one = self.resolve(arguments)
            return one in many
        raise not_offered(f"{name} in a rule")

    def _ref(self, name: str) -> str:
        return self.resources[name].physical_id if name in self.resources else self.values[name]

    def _attribute(self, name: str, attribute: str) -> str:
        resource = self.resources.get(name)
        if resource is None or attribute not in resource.attributes:
            raise invalid(f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt")
        return resource.attributes[attribute]


def parameters_of(template: Json, given: Mapping[str, str]) -> dict[str, str]:
    """Values of the template's parameters. Raises AwsRefusalError for a missing, unknown or ill-formed one."""
    declared = template.get("Parameters", {})
    if unknown := given.keys() - declared.keys():
        raise invalid(f"Parameters: [{', '.join(sorted(unknown))}] do not exist in the template")
    found = {name: given.get(name, spec.get("Default")) for name, spec in declared.items()}
    if missing := sorted(name for name, value in found.items() if value is None):
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    values = {name: str(value) for name, value in found.items()}
    for name, spec in declared.items():
        if spec["Type"] != "String" or spec.keys() & {"AllowedPattern", "AllowedValues"}:
            raise not_offered(f"the parameter {name}: only plain texts with a length")
        if not int(spec.get("MinLength", 0)) <= len(values[name]) <= int(spec.get("MaxLength", 4096)):
            raise invalid(f"Parameter '{name}' must be between MinLength and MaxLength")
    return values


def shown(template: Json, values: Mapping[str, str]) -> dict[str, str]:
    """The parameters as everybody may see them."""
    declared = template.get("Parameters", {})
    return {name: _HIDDEN if declared[name].get("NoEcho") else value for name, value in values.items()}


def check_rules(template: Json, scope: Scope) -> None:
    """Raise AwsRefusalError for a rule that does not hold, before anything is made."""
    for name, rule in template.get("Rules", {}).items():
        if rule.keys() != {"Assertions"}:
            raise not_offered(f"a rule with a condition ({name})")
        for assertion in rule["Assertions"]:
            if not scope.holds(assertion["Assert"]):
                raise invalid(f"Template rule {name} is not satisfied: {assertion.get('AssertDescription', '')}")


def in_order(template: Json, values: Mapping[str, str]) -> list[str]:
    """Logical ids, each after what it refers to. `values` are parameters and pseudo parameters.

    Raises AwsRefusalError for a circle, and for a name that nothing has.
    """
    resources = template["Resources"]
    for name in _named([resources, template.get("Rules", {}), template.get("Outputs", {})]):
        if name not in resources and name not in values:
            raise invalid(f"Template format error: Unresolved resource dependencies [{name}] in the template")
    needs = {name: {other for other in _named(resource) if other in resources} for name, resource in resources.items()}
    done: list[str] = []
    while len(done) < len(resources):
        ready = [name for name in resources if name not in done and needs[name] <= set(done)]
        if not ready:
            raise invalid("Circular dependency between resources")
        done += ready
    return done


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in {"Ref", "DependsOn"}:
                yield from [item] if isinstance(item, str) else item
            elif key == "Fn::GetAtt":
                yield item[0]
            else:
                yield from _named(item)
