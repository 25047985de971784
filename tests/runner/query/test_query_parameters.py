"""Parameters: typed by AWS's models, with errors that name parameter and type; placeholders are filled as data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.operations import find_operation
from rolecall_runner.query.parameters import FillContext, check_targets, fill, read_parameters, type_parameters
from rolecall_runner.query.spec import QueryError, QuerySpec
from rolecall_runner.query.validate import parameters_json, validate_query

MOMENT = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)
TARGET = Target(
    "acme",
    "012345678901",
    "aws",
    "arn:aws:iam::012345678901:role/r",
    labels={"tier": "gold"},
    variables={"count": "7", "odd": '"},{"Name":"x{name}'},
    tags={"team": "a"},
)
FILLING = FillContext(TARGET, MOMENT, "eu-west-1")


@pytest.mark.parametrize(
    ("operation", "text", "expected"),
    [
        ("ec2 describe_instances", "MaxResults=5", {"MaxResults": 5}),
        ("ec2 describe_instances", "DryRun=true", {"DryRun": True}),
        ("ec2 describe_instances", "InstanceIds=i-1,i-2", {"InstanceIds": ["i-1", "i-2"]}),
        ("ec2 describe_instances", 'InstanceIds=["i-1"]', {"InstanceIds": ["i-1"]}),
        ("ec2 describe_instances", 'Filters=[{"Name":"a","Values":["b"]}]', {"Filters": [{"Name": "a", "Values": ["b"]}]}),
        ("iam get_user", "UserName=123", {"UserName": "123"}),
        ("iam get_user", 'UserName="true"', {"UserName": "true"}),
        ("iam get_user", "UserName=a=b", {"UserName": "a=b"}),
        ("dynamodb describe_table", "TableName={labels.tier}", {"TableName": "{labels.tier}"}),
        ("cloudwatch list_metrics", 'Dimensions=[{"Name":"a"}]', {"Dimensions": [{"Name": "a"}]}),
    ],
)
def test_strings_are_converted_to_model_types(operation: str, text: str, expected: dict[str, Any]) -> None:
    """A string stays a string where the model has one, and becomes a number, boolean, list or object elsewhere."""
    assert expected == read_parameters(find_operation(*operation.split()), [text])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MaxResults=many", "parameter MaxResults (integer): 'many' is not an integer"),
        ("DryRun=perhaps", "parameter DryRun (boolean): 'perhaps' is not true or false"),
        ("Filters=running", "parameter Filters (list): 'running' is not a JSON list"),
        ("Filters=[{", "parameter Filters: the value is not valid JSON"),
        ('Filters={"Name":"a"}', "parameter Filters (list)"),
        ('Filters=["a"]', "parameter Filters[0] (structure): 'a' is not a JSON object"),
        ('Filters=[{"Name":1}]', "parameter Filters[0].Name (string): '1' is not a string"),
        ('Filters=[{"Nam":"a"}]', "did you mean Name?"),
        ("Filter=[]", "did you mean Filters"),
        ("MaxResults=1{name}", "parameter MaxResults (integer)"),
        ("nothing", "'nothing' is not NAME=VALUE"),
    ],
)
def test_errors_name_parameter_and_type(text: str, words: str) -> None:
    """A value that the model rejects is an error before any call, with its location in the value."""
    with pytest.raises(QueryError) as raised:
        validate_query(QuerySpec("ec2", "describe_instances"), [text])

    assert words in str(raised.value)


def test_missing_required_parameter_is_error() -> None:
    """Before any call."""
    with pytest.raises(QueryError, match="describe_table requires TableName"):
        validate_query(QuerySpec("dynamodb", "describe_table"))


def test_command_line_parameters_override_and_extend_the_file() -> None:
    question = validate_query(
        QuerySpec("ec2", "describe_instances", {"MaxResults": 5, "DryRun": False}), ["MaxResults=9", "InstanceIds=i-1"]
    )

    assert {"MaxResults": 9, "DryRun": False, "InstanceIds": ["i-1"]} == question.parameters


def test_repeated_list_parameter_is_appended() -> None:
    """For example two filters."""
    found = read_parameters(find_operation("ec2", "describe_instances"), ["InstanceIds=i-1", "InstanceIds=i-2"])

    assert {"InstanceIds": ["i-1", "i-2"]} == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name}/{account_id}", "acme/012345678901"),
        ("{labels.tier}-{tags.team}-{region}", "gold-a-eu-west-1"),
        ("{{name}}", "{name}"),
        ("{ $.errorCode = 1 }", "{ $.errorCode = 1 }"),
        ("${aws:username}", "${aws:username}"),
        ("{today}", "2026-03-31"),
        ("{today-31d}", "2026-02-28"),
        ("{month}", "2026-03-01"),
        ("{month-3}", "2025-12-01"),
        ("{month+10}", "2027-01-01"),
        ("{now-90m}", "2026-03-31T11:00:00+00:00"),
    ],
)
def test_placeholders_are_filled(text: str, expected: str) -> None:
    """Values of the target, and relative dates; doubled and other braces are literal."""
    assert expected == fill(text, FILLING)


def test_placeholder_value_is_not_evaluated_again() -> None:
    """Quotes, braces and placeholders in a customer's variable stay unchanged within their own string."""
    question = validate_query(
        QuerySpec("ec2", "describe_instances"), ['Filters=[{"Name":"tag:a","Values":["{variables.odd}"]}]']
    )

    filled = fill(question.parameters, FILLING)

    assert {"Filters": [{"Name": "tag:a", "Values": ['"},{"Name":"x{name}']}]} == filled


def test_placeholder_may_hold_a_number() -> None:
    """It is converted after it is filled; a value that is not a number is an error."""
    question = validate_query(QuerySpec("ec2", "describe_instances"), ["MaxResults={variables.count}"])

    assert {"MaxResults": 7} == fill(question.parameters, FILLING)
    assert {"MaxResults": "{variables.count}"} == parameters_json(question.parameters)
    with pytest.raises(QueryError, match="is not an integer"):
        fill(validate_query(QuerySpec("ec2", "describe_instances"), ["MaxResults={name}"]).parameters, FILLING)


@pytest.mark.parametrize("name", ["{nme}", "{labels}", "{labels.}", "{item.user}", "{today-3y}", "{month-1d}"])
def test_unknown_placeholder_is_error_before_any_call(name: str) -> None:
    """The error lists the known placeholders."""
    with pytest.raises(QueryError, match="unknown placeholder") as raised:
        validate_query(QuerySpec("iam", "get_user"), [f"UserName={name}"])

    assert "{labels.X}" in str(raised.value)


def test_customers_without_a_value_are_listed_before_any_call() -> None:
    """One customer without the label stops the query."""
    other = Target("other", "222222222222", "aws", "arn:aws:iam::222222222222:role/r")
    question = validate_query(QuerySpec("iam", "get_user"), ["UserName={labels.tier}"])

    check_targets(question.parameters, [TARGET])
    with pytest.raises(QueryError, match=r"\{labels\.tier\} has no value for other"):
        check_targets(question.parameters, [TARGET, other])


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_value_is_converted_or_rejected(value: Any) -> None:
    """For any YAML or JSON the result is a typed value or one error."""
    operation = find_operation("ec2", "describe_instances")
    try:
        typed = type_parameters(operation, {"Filters": value})
    except QueryError:
        return
    assert all(set(each) <= {"Name", "Values"} for each in typed["Filters"])
