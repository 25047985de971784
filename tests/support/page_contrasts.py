"""Contrast of a page: text color against background color."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import Page


def contrasts_of(page: Page, selectors: Sequence[str]) -> dict[str, float]:
    """The contrast (WCAG 2.2, 1.4.3; 1 to 21) of the first element of each selector; 0 where there is none."""
    found: dict[str, float] = page.evaluate(_CONTRASTS, list(selectors))
    return found


_CONTRASTS = """(names) => {
  const light = (color) => {
    const part = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const paper = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!color.startsWith('rgba(0, 0, 0, 0')) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  return Object.fromEntries(names.map((name) => {
    const element = document.querySelector(name);
    if (!element) return [name, 0];
    const [a, b] = [light(getComputedStyle(element).color), light(paper(element))].sort((x, y) => y - x);
    return [name, (a + 0.05) / (b + 0.05)];
  }));
}"""
