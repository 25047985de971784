from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolecall_generator.terraform.render import block_labels, hcl_map, hcl_string, snake_case

hostile = st.text(alphabet=st.sampled_from(list('${}%"\\\n\r\t<-EOFab \u2028\x00é"')), max_size=30)


def unescape(literal: str) -> str:
    """An independent parser for quoted HCL strings; fails on anything other than literal text."""
    assert literal[0] == literal[-1] == '"'
    body, out, position = literal[1:-1], "", 0
    while position < len(body):
        rest = body[position:]
        if rest[:3] in {"$${", "%%{"}:
            out, position = out + rest[1:3], position + 3
        elif rest[:2] == "\\u":
            out, position = out + chr(int(rest[2:6], 16)), position + 6
        elif rest[0] == "\\":
            out, position = out + {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}[rest[1]], position + 2
        else:
            assert rest[:2] not in {"${", "%{"}
            assert rest[0] not in '"\n\r'
            out, position = out + rest[0], position + 1
    return out


@given(hostile | st.text())
@example("${aws:username}")
@example("$${x}")
@example("%{ if true }")
@example('say "no"\n')
@example("\\${x}")
def test_any_string_is_rendered_as_literal(text: str) -> None:
    """No string ends its literal, and parsing it returns the original string."""
    assert text == unescape(hcl_string(text))


@given(st.lists(st.from_regex(r"[A-Za-z0-9_+=,.@-]{1,64}", fullmatch=True), min_size=2, max_size=5, unique=True))
def test_labels_are_unique_identifiers(names: list[str]) -> None:
    """Each AWS name has its own label, which is a Terraform identifier in snake_case."""
    labels = block_labels({name: name for name in names})

    assert names == list(labels)
    assert len(names) == len(set(labels.values()))
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", label) for label in labels.values())


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("AmazonEC2ReadOnlyAccess", "amazon_ec2_read_only_access"),
        ("rolecall-assume-customers-backend_role-1", "rolecall_assume_customers_backend_role_1"),
        ("reena-assumedRole", "reena_assumed_role"),
        ("IAMFullAccess", "iam_full_access"),
        ("alex@example.com", "alex_example_com"),
        ("7zip", "_7zip"),
    ],
)
def test_names_are_converted_to_snake_case(name: str, label: str) -> None:
    """Words are separated at hyphens, other punctuation and changes of case."""
    assert label == snake_case(name)


def test_conflicting_labels_have_a_digest() -> None:
    """`a-b` and `a_b` are different users in AWS; a third user has its plain label."""
    labels = block_labels({"1": "a-b", "2": "a_b", "3": "c"})

    assert "c" == labels["3"]
    assert labels["1"] != labels["2"]


def test_maps_are_aligned_and_sorted() -> None:
    """Maps are formatted as by `terraform fmt`."""
    assert '{\n  "a"    = "1"\n  "long" = "2"\n}' == hcl_map({"long": "2", "a": "1"})
