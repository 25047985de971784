"""The use cases of `gen customer`: each change of the manifest is shown as access before it is written."""

from rolecall_generator.customers.edits import (
    NextStep,
    add_customer,
    after_change,
    after_import,
    after_removal,
    after_rename,
    change_customer,
    moved_block,
    remove_entries,
    rename_entry,
)
from rolecall_generator.customers.listing import CustomerRow, ShownCustomer, list_customers, profiles_text, show_customer
from rolecall_generator.customers.proposal import AccessDifference, ModuleDifference, Proposal, propose
from rolecall_generator.customers.rotation import (
    RotationProposal,
    abort_rotation,
    after_rotation,
    finish_rotation,
    rotation_lines,
    rotation_remark,
    rotations_json,
    rotations_under_way,
    start_rotation,
)

__all__ = [
    "AccessDifference",
    "CustomerRow",
    "ModuleDifference",
    "NextStep",
    "Proposal",
    "RotationProposal",
    "ShownCustomer",
    "abort_rotation",
    "add_customer",
    "after_change",
    "after_import",
    "after_removal",
    "after_rename",
    "after_rotation",
    "change_customer",
    "finish_rotation",
    "list_customers",
    "moved_block",
    "profiles_text",
    "propose",
    "remove_entries",
    "rename_entry",
    "rotation_lines",
    "rotation_remark",
    "rotations_json",
    "rotations_under_way",
    "show_customer",
    "start_rotation",
]
