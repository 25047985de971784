"""Whether a resource pattern of a policy can match an ARN format."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.iam.matching.wildcards import may_match

BUCKET = "arn:${Partition}:s3:::${BucketName}"
OBJECT = "arn:${Partition}:s3:::${BucketName}/${ObjectName}"
USER = "arn:${Partition}:iam::${Account}:user/${UserNameWithPath}"


@pytest.mark.parametrize(
    ("resource", "form", "expected"),
    [
        ("arn:aws:s3:::b", BUCKET, True),
        ("arn:aws:s3:::b/*", BUCKET, False),
        ("arn:aws:s3:::b*", BUCKET, True),
        ("arn:aws:s3:::b", OBJECT, False),
        ("arn:aws:s3:::b/a/deep/key", OBJECT, True),
        ("arn:aws:s3:::b*", OBJECT, True),
        ("arn:aws:s3:::a?c", OBJECT, True),
        ("arn:*", OBJECT, True),
        ("*", OBJECT, True),
        ("arn:aws:iam::111111111111:user/${aws:username}", USER, True),
        ("arn:aws:iam::111111111111:role/*", USER, False),
        ("arn:aws:s3:::b/${*}", OBJECT, True),
        ("arn:aws:s3:::b${*}", OBJECT, False),
    ],
)
def test_resource_matches_its_arn_format(resource: str, form: str, expected: bool) -> None:
    """Buckets and objects are distinguished; wildcards and policy variables match anything."""
    assert expected is may_match(resource, form)


PIECES = st.lists(st.sampled_from(["a", "b", "/", "*", "?"]), max_size=7).map("".join)
TEXTS = st.text("ab/", max_size=6)


def test_hostile_resource_is_assumed_to_match() -> None:
    """An impossible resource is assumed to match instead of being searched for minutes."""
    assert may_match("arn:" + "*a" * 100_000, BUCKET)


@given(pattern=PIECES, form=st.lists(st.sampled_from(["a", "b", "/", "${X}"]), max_size=5).map("".join), text=TEXTS)
def test_common_match_is_always_found(pattern: str, form: str, text: str) -> None:
    """If one string matches both sides, the result is true."""
    by_pattern = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    by_form = ".*".join(re.escape(part) for part in form.split("${X}"))
    if re.fullmatch(by_pattern, text) and re.fullmatch(by_form, text):
        assert may_match(pattern, form)
