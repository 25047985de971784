"""IAM clients inside the accounts of a local server, for tests; the product's own reader reads the result."""

from __future__ import annotations

from typing import Any

import boto3

from rolecall_generator.iam.model import Access
from rolecall_runner.live import read_account
from rolecall_runner.sandbox.server.state_dir import operator_secret

ASSUMED = "OrganizationAccountAccessRole"
OPERATOR = "AKIAROLECALLOPERATOR"


def client(service: str, endpoint: str, account_id: str) -> Any:
    """A client of a service inside one account, as its administrator."""
    common: dict[str, Any] = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    sts = boto3.client("sts", aws_access_key_id=OPERATOR, aws_secret_access_key=operator_secret(endpoint), **common)
    answer = sts.assume_role(RoleArn=f"arn:aws:iam::{account_id}:role/{ASSUMED}", RoleSessionName="reader")["Credentials"]
    return boto3.client(
        service,
        aws_access_key_id=answer["AccessKeyId"],
        aws_secret_access_key=answer["SecretAccessKey"],
        aws_session_token=answer["SessionToken"],
        **common,
    )


def iam_client(endpoint: str, account_id: str) -> Any:
    """An IAM client inside one account."""
    return client("iam", endpoint, account_id)


def read_access(endpoint: str, account_id: str) -> Access:
    """Everything in one account's IAM except for the role that the reader assumes."""
    return read_account(iam_client(endpoint, account_id), leave_out=[ASSUMED])
