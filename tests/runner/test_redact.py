"""`redact` hides secrets in every format of AWS, botocore and Python."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.redact import redact

FORTY_CHARACTERS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1"
LONG_TEXT = "IQoJb3JpZ2luX2VjE" + "AbCd1234+/" * 30 + "=="

FORMS = [
    "SecretAccessKey': '{}'",
    '{{"SecretAccessKey": "{}", "x": 1}}',
    "<SecretAccessKey>{}</SecretAccessKey>",
    "aws_secret_access_key = {}",
    "X-Amz-Security-Token: {}",
    "b'x-amz-security-token': b'{}'",
    "https://host/?X-Amz-Security-Token={}&X-Amz-Date=20261124",
    "the value {} stands alone",
    "({})",
    "AWS_SESSION_TOKEN={}",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [FORTY_CHARACTERS, LONG_TEXT], ids=["secret", "token"])
def test_secret_is_redacted_in_every_format(form: str, secret: str) -> None:
    """JSON, XML, reprs, headers, URLs, profiles and plain strings."""
    assert secret not in redact(form.format(secret))


@given(st.text(alphabet=string.ascii_letters + string.digits + "+/", min_size=1, max_size=60))
def test_any_value_after_name_of_secret_is_redacted(value: str) -> None:
    """In any format."""
    assert "SecretAccessKey: (hidden);" == redact(f"SecretAccessKey: {value};")


def test_end_of_access_key_id_is_kept() -> None:
    """It identifies the key, and the ID is not enough to sign."""
    assert "key ASIA...CDEF is not valid" == redact("key ASIAIOSFODNN7EXACDEF is not valid")


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::222222222222:role/vendor/VendorAccess",
        "User: arn:aws:sts::111111111111:assumed-role/backend_role/i-0123456789abcdef0 is not authorized",
        "AROAIOSFODNN7EXAMPLE:rolecall-0a1b2c3d",
        "external id 0f0c7c0e-7d1e-4f0e-9d3c-2f1b5f6d7e8a",
    ],
)
def test_identifiers_are_not_redacted(text: str) -> None:
    """ARNs, unique IDs, session names and external IDs are not secrets."""
    assert text == redact(text)
