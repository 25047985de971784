"""The review document of a bundle: phrases, content and PDF."""
