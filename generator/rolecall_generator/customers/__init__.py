"""Use cases of `gen customer`: every change of the manifest is shown as a difference in access before it is written."""

from rolecall_generator.customers.edits import (
    AccessDifference,
    ModuleDifference,
    NextStep,
    Proposal,
    add_customer,
    change_customer,
    import_customers,
    remove_entries,
    rename_entry,
)
from rolecall_generator.customers.listing import CustomerRow, CustomerView, list_customers, profiles_text, show_customer
from rolecall_generator.customers.rotation import (
    OngoingRotation,
    abort_rotation,
    finish_rotation,
    ongoing_rotations,
    start_rotation,
)

__all__ = [
    "AccessDifference",
    "CustomerRow",
    "CustomerView",
    "ModuleDifference",
    "NextStep",
    "OngoingRotation",
    "Proposal",
    "abort_rotation",
    "add_customer",
    "change_customer",
    "finish_rotation",
    "import_customers",
    "list_customers",
    "ongoing_rotations",
    "profiles_text",
    "remove_entries",
    "rename_entry",
    "show_customer",
    "start_rotation",
]
