"""The review document of a bundle: phrases, content and PDF."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_generator.bundle.review.pdf import review_pdf

__all__ = ["review_pdf"]

__getattr__ = exports(__name__, {"pdf": ("review_pdf",)})
