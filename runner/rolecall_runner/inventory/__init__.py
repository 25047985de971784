"""The targets of a run, and selecting from them."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.inventory.inventory import Inventory, find_target, inventory_of, read_inventory
    from rolecall_runner.inventory.selection import EVERYBODY, Selection, only, sample, select
    from rolecall_runner.inventory.targets import Target, TargetKind

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

__getattr__ = exports(
    __name__,
    {
        "inventory": ("Inventory", "find_target", "inventory_of", "read_inventory"),
        "selection": ("EVERYBODY", "Selection", "only", "sample", "select"),
        "targets": ("Target", "TargetKind"),
    },
)
