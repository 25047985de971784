"""Plans the modules of a manifest: the intended access, and the folder of each module."""

from rolecall_generator.planning.backend import (
    BACKEND_PATH,
    Slot,
    assign_customers,
    backend_role_arns,
    customer_path,
    customer_role_arn,
)
from rolecall_generator.planning.permissions import statement_of
from rolecall_generator.planning.planner import Plan, PlannedModule, make_plan, previous_slots, select, slots_to_json
from rolecall_generator.planning.switch_role import switch_role_path

__all__ = [
    "BACKEND_PATH",
    "Plan",
    "PlannedModule",
    "Slot",
    "assign_customers",
    "backend_role_arns",
    "customer_path",
    "customer_role_arn",
    "make_plan",
    "previous_slots",
    "select",
    "slots_to_json",
    "statement_of",
    "switch_role_path",
]
