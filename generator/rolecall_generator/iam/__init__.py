"""The access model: ARNs, policy documents, principals, policies, and the modules that create them."""

from rolecall_generator.iam import quotas
from rolecall_generator.iam.arn import ACCOUNT_ID_PATTERN, PARTITIONS, Arn, iam_arn, role_arn, root_arn, switch_role_url
from rolecall_generator.iam.model import (
    Access,
    AccountLabel,
    BackendDetails,
    ConsolePassword,
    CustomerDetails,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Module,
    ModuleKind,
    Role,
    SwitchRoleDetails,
    User,
)
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement

__all__ = [
    "ACCOUNT_ID_PATTERN",
    "PARTITIONS",
    "Access",
    "AccountLabel",
    "Arn",
    "BackendDetails",
    "Condition",
    "ConsolePassword",
    "CustomerDetails",
    "Group",
    "InstanceProfile",
    "ManagedPolicy",
    "Module",
    "ModuleKind",
    "PolicyDocument",
    "Principal",
    "Role",
    "Statement",
    "SwitchRoleDetails",
    "User",
    "iam_arn",
    "quotas",
    "role_arn",
    "root_arn",
    "switch_role_url",
]
