"""Bundles for customers: building, signing and verifying them."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_generator.bundle.bundles import Bundled, Choices, write_bundles
    from rolecall_generator.bundle.review.permissions_text import grants_of
    from rolecall_generator.bundle.review.phrases import revoking
    from rolecall_generator.bundle.signing import Signer, Trusted
    from rolecall_generator.bundle.verification import BundleVerification, verify_bundle

__all__ = [
    "BundleVerification",
    "Bundled",
    "Choices",
    "Signer",
    "Trusted",
    "grants_of",
    "revoking",
    "verify_bundle",
    "write_bundles",
]

__getattr__ = exports(
    __name__,
    {
        "bundles": (
            "Bundled",
            "Choices",
            "write_bundles",
        ),
        "review.permissions_text": ("grants_of",),
        "review.phrases": ("revoking",),
        "signing": (
            "Signer",
            "Trusted",
        ),
        "verification": (
            "BundleVerification",
            "verify_bundle",
        ),
    },
)
