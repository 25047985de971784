"""Manifest -> the modules to be written and the access that they make. Knows AWS's quotas, not files."""

from rolecall_generator.plan.planner import Plan, PlannedModule, make_plan

__all__ = ["Plan", "PlannedModule", "make_plan"]
