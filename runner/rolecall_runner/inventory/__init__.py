"""The targets of a run, and selecting from them."""

from rolecall_runner.inventory.inventory import Inventory, Target, TargetKind, find_target, inventory_of, read_inventory
from rolecall_runner.inventory.selection import EVERYBODY, Selection, only, sample, select

__all__ = [
    "EVERYBODY",
    "Inventory",
    "Selection",
    "Target",
    "TargetKind",
    "find_target",
    "inventory_of",
    "only",
    "read_inventory",
    "sample",
    "select",
]
