"""What all JUnit reports share: the root element sums up its suites."""

from __future__ import annotations

from xml.etree import ElementTree as Xml


def suites_text(root: Xml.Element) -> str:
    """The XML of a `testsuites` element, with the sums over its suites set and lines indented."""
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=False) + "\n"
