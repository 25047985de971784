"""Reads that need no parameter, and AWS's well-known read-only policies by the bounds of what they allow.

A policy's text changes in AWS without anybody's doing, mostly by growing. So no text is kept: `allows` holds a few actions
that are its very purpose, `services` those that it stays within. Sources: the documents in moto 5.2.5 and the AWS managed
policy reference, November 2026; a test holds the table against moto's documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.iam.policy import PolicyDocument, Statement

READS: Sequence[str] = (
    "autoscaling:DescribeAutoScalingGroups", "cloudformation:ListStacks", "cloudtrail:DescribeTrails",
    "cloudwatch:DescribeAlarms", "config:DescribeConfigurationRecorders", "dynamodb:ListTables", "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroups", "ec2:DescribeVolumes", "ec2:DescribeVpcs", "ecr:DescribeRepositories", "ecs:ListClusters",
    "eks:ListClusters", "elasticfilesystem:DescribeFileSystems", "elasticloadbalancing:DescribeLoadBalancers",
    "events:ListRules", "glue:GetDatabases", "guardduty:ListDetectors", "iam:ListRoles", "iam:ListUsers",
    "kinesis:ListStreams", "kms:ListKeys", "lambda:ListFunctions", "logs:DescribeLogGroups",
    "organizations:DescribeOrganization", "rds:DescribeDBInstances", "redshift:DescribeClusters", "route53:ListHostedZones",
    "s3:ListAllMyBuckets", "secretsmanager:ListSecrets", "sns:ListTopics", "sqs:ListQueues", "ssm:DescribeParameters",
    "states:ListStateMachines",
)  # fmt: skip
"""Actions over many services whose safe call needs no parameter. A test holds that each has one and only reads."""


@dataclass(frozen=True, slots=True)
class WellKnown:
    """An AWS managed policy by its bounds: patterns of actions on everything; no `services` stand for all of them."""

    allows: tuple[str, ...]
    services: tuple[str, ...] = ()

    @property
    def least(self) -> PolicyDocument:
        """What it surely allows."""
        return PolicyDocument((Statement("Allow", self.allows, ("*",)),))

    @property
    def most(self) -> PolicyDocument:
        """More than it can allow."""
        wide = tuple(f"{service}:*" for service in self.services) or ("*",)
        return PolicyDocument((Statement("Allow", wide, ("*",)),))


_NOT_IN_VIEW_ONLY = frozenset(
    {
        "cloudwatch:DescribeAlarms", "glue:GetDatabases", "guardduty:ListDetectors", "organizations:DescribeOrganization",
        "secretsmanager:ListSecrets", "ssm:DescribeParameters",
    }
)  # fmt: skip

WELL_KNOWN: Mapping[str, WellKnown] = {
    "AWSCloudFormationReadOnlyAccess": WellKnown(
        ("cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*"), ("cloudformation",)
    ),
    "AWSCloudTrail_ReadOnlyAccess": WellKnown(
        ("cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:List*"), ("cloudtrail",)
    ),
    "AWSOrganizationsReadOnlyAccess": WellKnown(
        ("organizations:Describe*", "organizations:List*"), ("account", "organizations")
    ),
    "AmazonEC2ReadOnlyAccess": WellKnown(
        ("autoscaling:Describe*", "cloudwatch:Describe*", "cloudwatch:ListMetrics", "ec2:Describe*",
         "elasticloadbalancing:Describe*"),
        ("autoscaling", "cloudwatch", "ec2", "elasticloadbalancing"),
    ),
    "AmazonElastiCacheReadOnlyAccess": WellKnown(("elasticache:Describe*",), ("elasticache",)),
    "AmazonRDSReadOnlyAccess": WellKnown(
        ("ec2:DescribeSecurityGroups", "ec2:DescribeVpcs", "rds:Describe*"),
        ("cloudwatch", "devops-guru", "ec2", "logs", "rds"),
    ),
    "AmazonRoute53ReadOnlyAccess": WellKnown(("route53:Get*", "route53:List*"), ("route53",)),
    "AmazonS3ReadOnlyAccess": WellKnown(("s3:Get*", "s3:List*"), ("s3", "s3-object-lambda")),
    "AmazonSNSReadOnlyAccess": WellKnown(("sns:List*",), ("sms-voice", "sns")),
    "AmazonSQSReadOnlyAccess": WellKnown(("sqs:ListQueues",), ("sqs",)),
    "AmazonSSMReadOnlyAccess": WellKnown(("ssm:Describe*", "ssm:List*"), ("ssm",)),
    "AmazonVPCReadOnlyAccess": WellKnown(("ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"), ("ec2",)),
    "AutoScalingReadOnlyAccess": WellKnown(("autoscaling:Describe*",), ("autoscaling",)),
    "IAMReadOnlyAccess": WellKnown(("iam:Get*", "iam:List*"), ("iam",)),
    "ReadOnlyAccess": WellKnown(tuple(READS)),
    "SecurityAudit": WellKnown((*READS, "iam:GetPolicy", "iam:GetPolicyVersion")),
    "job-function/ViewOnlyAccess": WellKnown(tuple(action for action in READS if action not in _NOT_IN_VIEW_ONLY)),
}  # fmt: skip
"""Bounds by path and name, as in `job-function/ViewOnlyAccess`."""
