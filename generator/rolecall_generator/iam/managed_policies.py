"""Which managed policies AWS has, which of them it has deprecated, and which of them give everything away.

Names: `data/aws_managed_policies.json`, written by `tests/tools/extract_managed_policies.py`; its source and date stand in
the file. It is the `aws` partition's list; the others have most of these and a few of their own.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_ARN_MIDDLE = ":iam::aws:policy/"


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A deprecated policy: what AWS names in its place (None: nothing), and whether it can still be attached."""

    replacement: str | None
    attachable: bool = False


DEPRECATED: Mapping[str, Deprecated] = {
    "AWSBackupAdminPolicy": Deprecated("AWSBackupFullAccess"),
    "AWSBackupOperatorPolicy": Deprecated("AWSBackupOperatorAccess"),
    "AWSCloudTrailFullAccess": Deprecated("AWSCloudTrail_FullAccess"),
    "AWSCloudTrailReadOnlyAccess": Deprecated("AWSCloudTrail_ReadOnlyAccess"),
    "AWSCodePipelineFullAccess": Deprecated("AWSCodePipeline_FullAccess"),
    "AWSCodePipelineReadOnlyAccess": Deprecated("AWSCodePipeline_ReadOnlyAccess"),
    "AWSElasticBeanstalkFullAccess": Deprecated("AdministratorAccess-AWSElasticBeanstalk"),
    "AWSElasticBeanstalkReadOnlyAccess": Deprecated("AWSElasticBeanstalkReadOnly"),
    "AWSLambdaFullAccess": Deprecated("AWSLambda_FullAccess"),
    "AWSLambdaReadOnlyAccess": Deprecated("AWSLambda_ReadOnlyAccess"),
    "AWSOpsWorksFullAccess": Deprecated(None),
    "AmazonConnectFullAccess": Deprecated("AmazonConnect_FullAccess"),
    "AmazonEC2ContainerServiceFullAccess": Deprecated("AmazonECS_FullAccess"),
    "AmazonGuardDutyFullAccess": Deprecated("AmazonGuardDutyFullAccess_v2"),
    "AmazonElasticTranscoderFullAccess": Deprecated("AmazonElasticTranscoder_FullAccess"),
    "AmazonElasticTranscoderJobsSubmitter": Deprecated("AmazonElasticTranscoder_JobsSubmitter"),
    "AmazonElasticTranscoderReadOnlyAccess": Deprecated("AmazonElasticTranscoder_ReadOnlyAccess"),
    "service-role/AWSConfigRole": Deprecated("service-role/AWS_ConfigRole"),
    "service-role/AmazonEC2SpotFleetRole": Deprecated("service-role/AmazonEC2SpotFleetTaggingRole"),
    "service-role/AmazonEC2RoleforSSM": Deprecated("AmazonSSMManagedInstanceCore", attachable=True),
    "AmazonElasticMapReduceFullAccess": Deprecated("AmazonEMRFullAccessPolicy_v2", attachable=True),
    "AmazonElasticMapReduceReadOnlyAccess": Deprecated("AmazonEMRReadOnlyAccessPolicy_v2", attachable=True),
    "service-role/AmazonElasticMapReduceRole": Deprecated("service-role/AmazonEMRServicePolicy_v2", attachable=True),
}
"""Deprecated policies by path and name, a short list by hand.

Sources, read November 2026: AWS documentation, "Deprecated AWS managed policies" and pages of the policies themselves ("This
policy is on a deprecation path"); names that AWS has taken away: zoph-io/IAMTrail (DEPRECATED.json). A test holds that every
replacement is in the list of names, and that only what is still in it counts as attachable.
"""

SWEEPING: Mapping[str, str] = {
    "AdministratorAccess": "allows everything",
    "IAMFullAccess": "allows iam:*, and with it any permission that its holder writes for itself",
    "PowerUserAccess": "allows everything but IAM, Organizations and account settings",
    "AdministratorAccess-Amplify": "allows writing roles and their policies on every resource",
    "AdministratorAccess-AWSElasticBeanstalk": "allows making roles and attaching policies to them",
    "job-function/SystemAdministrator": "allows passing roles to services and changing most of the account",
    "ReadOnlyAccess": "allows reading the content of every bucket, table, queue and parameter",
}
"""Policies that hand over an account, or all its data, with what they allow.

Source: the documents in moto 5.2.5 and AWS documentation, "AWS managed policies for job functions", November 2026.
"""


@lru_cache(maxsize=1)
def known_names() -> frozenset[str]:
    """Path and name of every AWS managed policy that can be attached, as in `job-function/ViewOnlyAccess`."""
    text = files("rolecall_generator.iam").joinpath("data", "aws_managed_policies.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["names"])


def managed_policy_name(arn: str) -> str | None:
    """Path and name of an AWS managed policy; None when the ARN is a customer's own policy or no policy at all."""
    head, middle, name = arn.partition(_ARN_MIDDLE)
    return name if middle and head.startswith("arn:") else None


@lru_cache(maxsize=4_096)
def nearest_name(name: str) -> str | None:
    """The policy that `name` most probably means: the same name under its right path first."""
    plain = name.rpartition("/")[2]
    by_plain = {known.rpartition("/")[2]: known for known in sorted(known_names())}
    if plain in by_plain:
        return by_plain[plain]
    close = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None
