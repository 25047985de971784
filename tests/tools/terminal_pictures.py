"""Pictures of terminal sessions in docs/images: commands run in an empty folder, their output drawn as SVG.

Written by `python tests/tools/terminal_pictures.py` (part of `make pictures`), light and dark. A picture whose output is
still the same, except for times and IDs, is not rewritten.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from docs_page import Page, Typed
from docs_runner import ROOT, alike, run_page

IMAGES = ROOT / "docs" / "images"

THEMES = {
    "light": TerminalTheme(
        (246, 248, 250),
        (31, 35, 40),
        [(31, 35, 40), (179, 38, 30), (17, 99, 41), (125, 78, 0), (9, 84, 165), (119, 48, 160), (0, 92, 105), (87, 96, 106)],
    ),
    "dark": TerminalTheme(
        (15, 20, 26),
        (230, 237, 243),
        [
            (72, 79, 88),
            (255, 123, 114),
            (87, 200, 120),
            (227, 179, 65),
            (108, 176, 242),
            (210, 168, 255),
            (86, 212, 221),
            (230, 237, 243),
        ],
    ),
}

# Rich's own format has a window frame, and loads a font from a CDN.
_SVG = """\
<svg viewBox="VIEW" xmlns="http://www.w3.org/2000/svg" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
{lines}
</defs>
BACKGROUND
{backgrounds}
<g class="{unique_id}-matrix" data-size="{terminal_width} {terminal_height}">
{matrix}
</g>
</svg>
"""
_SIZE = re.compile(r' data-size="([\d.]+) ([\d.]+)"')
_MARGIN = 20
_CHARACTER_WIDTH = 12.2
_DRAWN = re.compile(r'<text [^>]*? x="([\d.]+)"[^>]*clip-path="url\(#[^"]*-line-(\d+)\)">([^<]*)</text>')


@dataclass(frozen=True, slots=True)
class Session:
    """A session to draw: file name, alternative text, commands, and files of the repository that exist from the start."""

    name: str
    title: str
    commands: tuple[str, ...]
    columns: int = 96
    starts: tuple[tuple[str, str], ...] = ()


SESSIONS = (
    Session(
        "session",
        "A session in the sandbox: customers verified, and a returned module with a wider trust found",
        (
            "gen init",
            "gen terraform --quiet",
            "runner verify --sandbox",
            "mkdir returned && sed 's|:role/backend_role\"|:root\"|' output/customers/customer1/main.tf > returned/main.tf",
            "gen check --path customer1=returned | head -n 3",
        ),
        columns=112,
    ),
    Session(
        "proof",
        "gen prove: a row for each role, a column for each kind of request, and the result for all requests",
        ("gen prove --planned",),
        columns=94,
        starts=(("examples/accounts.yaml", "accounts.yaml"),),
    ),
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A command and its output, with the escape sequences of its colors."""

    command: str
    output: tuple[str, ...]


def record(session: Session, folder: Path) -> list[Recorded]:
    """Run the commands in an empty folder, as a terminal with colors would show them.

    Raises:
        RuntimeError: A command failed or was not reached.
    """
    setting = f"unset NO_COLOR; export FORCE_COLOR=1 TERM=xterm-256color COLUMNS={session.columns}"
    typed = tuple(Typed(command, (), 1) for command in (setting, *session.commands))
    results = run_page(Page(session.starts, typed), folder)[1:]
    if failed := [command for command, result in zip(session.commands, results, strict=True) if result.code != 0]:
        raise RuntimeError(f"failed: {failed[0]}")
    return [Recorded(command, result.lines) for command, result in zip(session.commands, results, strict=True)]


def draw(session: Session, recorded: Sequence[Recorded], theme: str) -> str:
    """The SVG of a recorded session."""
    console = Console(
        record=True,
        width=session.columns,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    for place, step in enumerate(recorded):
        if place:
            console.print()
        console.print(Text.assemble(("$ ", "cyan"), (step.command, "bold")), soft_wrap=False)
        for line in step.output:
            console.print(Text.from_ansi(line), soft_wrap=False)
    svg = console.export_svg(theme=THEMES[theme], code_format=_SVG, unique_id="terminal", font_aspect_ratio=0.61)
    size = _SIZE.search(svg)
    assert size is not None
    width, height = (round(float(each)) + 2 * _MARGIN for each in size.groups())
    view = f"{-_MARGIN} {-_MARGIN} {width} {height}"
    background = f'<rect x="{-_MARGIN}" y="{-_MARGIN}" width="{width}" height="{height}" rx="10" fill="{_hex(theme)}"/>'
    svg = svg.replace("VIEW", view, 1).replace("TITLE", session.title, 1).replace("BACKGROUND", background, 1)
    return _SIZE.sub("", svg).replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')


def _hex(theme: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*THEMES[theme].background_color)


def drawn_text(svg: str) -> list[str]:
    """The lines of text of a drawn session, without what differs between runs."""
    rows: dict[int, list[tuple[float, str]]] = {}
    for x, line, text in _DRAWN.findall(svg):
        rows.setdefault(int(line), []).append((float(x), unescape(text)))
    return [alike(_row(parts)) for _, parts in sorted(rows.items())]


def _row(parts: list[tuple[float, str]]) -> str:
    row = ""
    for x, text in sorted(parts):
        row = row.ljust(round(x / _CHARACTER_WIDTH)) + text
    return row


def path_of(session: Session, theme: str) -> Path:
    """The file of a picture."""
    return IMAGES / f"{session.name}-{theme}.svg"


def _update(session: Session) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recorded = record(session, Path(folder))
    for theme in THEMES:
        path, svg = path_of(session, theme), draw(session, recorded, theme)
        if not path.exists() or drawn_text(path.read_text("utf-8")) != drawn_text(svg):
            path.write_text(svg, "utf-8")


if __name__ == "__main__":
    for each in SESSIONS:
        _update(each)
