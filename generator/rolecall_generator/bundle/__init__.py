"""Bundles for customers: building, signing and verifying them."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.bundle.build import BundleOptions
    from rolecall_generator.bundle.bundles import BundleReport, write_bundles
    from rolecall_generator.bundle.review.phrases import (
        GrantDescription,
        PhraseValue,
        RevocationMethod,
        grants_of,
        revocation_methods,
        trusted_principals,
    )
    from rolecall_generator.bundle.signing import RequiredSigner, Signer
    from rolecall_generator.bundle.verification import BundleVerification, verify_bundle

__all__ = [
    "BundleOptions",
    "BundleReport",
    "BundleVerification",
    "GrantDescription",
    "PhraseValue",
    "RequiredSigner",
    "RevocationMethod",
    "Signer",
    "grants_of",
    "revocation_methods",
    "trusted_principals",
    "verify_bundle",
    "write_bundles",
]

__getattr__ = lazy_getattr(__name__)
