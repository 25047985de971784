"""The targets of a manifest, and their selection for a run."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner.inventory.inventory import Inventory, find_target, inventory_of, read_inventory
    from rolecall_runner.inventory.targets import ALL_TARGETS, Selection, Target, TargetKind, sample, select, select_keys

__all__ = [
    "ALL_TARGETS",
    "Inventory",
    "Selection",
    "Target",
    "TargetKind",
    "find_target",
    "inventory_of",
    "read_inventory",
    "sample",
    "select",
    "select_keys",
]

__getattr__ = lazy_getattr(__name__)
