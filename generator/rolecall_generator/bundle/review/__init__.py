"""The security review of a module: its content and its output as a PDF."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.bundle.review.pdf import review_pdf

__all__ = ["review_pdf"]

# Lazy, because reportlab is part of the extra 'pdf'.
__getattr__ = lazy_getattr(__name__)
