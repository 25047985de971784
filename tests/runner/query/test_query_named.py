"""Named queries in files: the shipped ones are valid, and errors in user files have file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rolecall_runner.query.spec import QueryError
from rolecall_runner.query.validate import (
    base_query,
    check_reads,
    find_query,
    load_query,
    override,
    read_query,
    shipped_queries,
    validate_query,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", [query.name for query in shipped_queries()])
def test_shipped_queries_are_valid(name: str) -> None:
    """Each matches AWS's models, only reads, has a description, and is documented."""
    question = validate_query(find_query(name))

    assert all(judgement.reads for judgement in check_reads(question))
    assert question.description.endswith(".")
    assert f"`{name}`" in (ROOT / "docs" / "query.md").read_text("utf-8")


def test_shipped_queries_are_named_after_their_files() -> None:
    folder = ROOT / "runner" / "rolecall_runner" / "query" / "named"

    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(query.name for query in shipped_queries())
    assert {"ec2-instances", "s3-buckets", "rds-instances", "users-without-mfa", "public-buckets", "cost-by-service"} <= {
        query.name for query in shipped_queries()
    }


def test_unknown_name_is_error_with_suggestion() -> None:
    with pytest.raises(QueryError, match="did you mean unattached-volumes"):
        find_query("unatached-volume")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "my.yaml:1"),
        ("- 1", "a query file must contain a mapping"),
        ("name: x\nservice: ec2", "operation: field required"),
        ("name: x\nservice: ec2\noperation: y\nfilter: z", "filter: extra inputs are not permitted"),
        ("name: x\nservice: ec2\noperation: y\nregions: nowhere", "'nowhere' is not a Region"),
        ("name: x\nservice: ec2\noperation: y\nlimit: 0", "limit: "),
        ("!!python/object/apply:os.getcwd []", "invalid YAML"),
    ],
)
def test_broken_file_is_error_with_line_or_key(text: str, words: str) -> None:
    """Nothing in it is run."""
    with pytest.raises(QueryError) as raised:
        read_query(text, "my.yaml")

    assert words in str(raised.value)
    assert "my.yaml" in str(raised.value) or "--regions" in str(raised.value)


def test_missing_file_is_query_error(tmp_path: Path) -> None:
    """Without a traceback."""
    with pytest.raises(QueryError, match="cannot be read"):
        load_query(tmp_path / "none.yaml")


def test_command_line_overrides_the_file(tmp_path: Path) -> None:
    """Regions, selection, columns and parameters replace those of the file."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nservice: ec2\noperation: describe_vpcs\nselect: Vpcs[].VpcId\ncolumns: [vpc]\nregions: enabled\n",
        "utf-8",
    )

    base = base_query(file=path)
    plain = validate_query(override(base))
    other = validate_query(override(base, regions=["eu-west-1"], select="Vpcs[]", columns="VpcId"), ["MaxResults=5"])

    assert ("mine", "Vpcs[].VpcId", ("vpc",)) == (plain.title, plain.select, plain.columns)
    assert (("eu-west-1",), "Vpcs[]", ("VpcId",), {"MaxResults": 5}) == (
        other.regions,
        other.select,
        other.columns,
        other.parameters,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "no query given"),
        ({"service": "ec2"}, "no operation of ec2"),
        ({"service": "ec2", "operation": "describe_vpcs", "named": "s3-buckets"}, "mutually exclusive"),
    ],
)
def test_incomplete_query_is_error(arguments: dict[str, Any], words: str) -> None:
    """The error names the missing keys."""
    with pytest.raises(QueryError) as raised:
        base_query(**arguments)

    assert words in str(raised.value)
