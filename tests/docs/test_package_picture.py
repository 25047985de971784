"""The diagram of the packages shows the table of the layout test."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from tools.package_picture import PICTURE, current_picture, package_picture


def test_picture_is_current() -> None:
    """After a change of ORDER, run `make pictures`."""
    assert current_picture() == PICTURE.read_text("utf-8")


def test_highest_package_is_on_top_and_sub_packages_are_in_its_row() -> None:
    order = {"tree": ("low", "top.inner", "top")}
    svg = Xml.fromstring(package_picture(order, {"tree.low": False, "tree.top": True}))  # noqa: S314 - made here
    texts = {
        text.text: (int(text.attrib["x"]), int(text.attrib["y"])) for text in svg.iter("{http://www.w3.org/2000/svg}text")
    }

    assert texts["top"][1] == texts["inner"][1] < texts["low"][1]
    assert texts["top"][0] == texts["low"][0] < texts["inner"][0]
