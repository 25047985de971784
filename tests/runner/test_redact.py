"""No secret gets through `redact`, in whatever form AWS, botocore or Python writes it."""

from __future__ import annotations

import io
import logging
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.redact import RedactingFilter, redact

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
def test_a_secret_is_hidden_in_every_form(form: str, secret: str) -> None:
    """JSON, XML, reprs, headers, URLs, profiles and plain text: the secret is gone."""
    assert secret not in redact(form.format(secret))


@given(st.text(alphabet=string.ascii_letters + string.digits + "+/", min_size=1, max_size=60))
def test_whatever_follows_a_secrets_name_is_hidden(value: str) -> None:
    """After the name of a secret its form does not matter."""
    assert "SecretAccessKey: (hidden);" == redact(f"SecretAccessKey: {value};")


def test_of_an_access_key_id_the_end_stays() -> None:
    """People need to tell keys apart; the id alone signs nothing."""
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
def test_what_people_need_stays(text: str) -> None:
    """ARNs, unique ids, session names and external ids are no secrets."""
    assert text == redact(text)


def test_log_lines_and_their_tracebacks_are_redacted() -> None:
    """The filter works on arguments and exceptions, not on the format string alone."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        raise ValueError(f"token {LONG_TEXT}")
    except ValueError:
        logger.exception("headers: %s", {"X-Amz-Security-Token": FORTY_CHARACTERS})

    written = stream.getvalue()
    assert "ValueError" in written
    assert FORTY_CHARACTERS not in written
    assert LONG_TEXT not in written
