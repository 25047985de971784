"""Where bundles lie and what in them has a fixed name. Imports little: `runner status` must not load what makes bundles."""

from __future__ import annotations

from rolecall_generator.lock import BUNDLES

__all__ = ["BUNDLES", "SUMS", "TERRAFORM", "bundle_path"]

SUMS = "SHA256SUMS"
"""A bundle's checksums."""
TERRAFORM = "terraform"
"""A bundle's folder of the Terraform module."""

OWNER_TAG = "rolecall:bundle"
"""Key of the tag with which `aws-cli/apply.sh` marks what it makes. It grants nothing and is no part of the access."""

_CUSTOMERS = "customers/"


def bundle_path(module_path: str) -> str:
    """Where a module's bundle lies below the folder of bundles: customers by their name alone."""
    return module_path.removeprefix(_CUSTOMERS)
