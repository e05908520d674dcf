"""A page of HTML that needs nothing beside it: text, tables, figures with alt texts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__: list[str] = []

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
       max-width: 46rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #444; font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child { text-align: left; } pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; }
"""


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption and what is to be seen in it."""

    drawing: Any  # a figure of Matplotlib
    caption: str
    alt: str

    def html(self) -> str:
        """Return the figure with its image inline."""
        stream = io.BytesIO()
        self.drawing.savefig(stream, format="png", dpi=110, metadata={"Software": None})
        image = base64.b64encode(stream.getvalue()).decode("ascii")
        return (
            f'<figure><img src="data:image/png;base64,{image}" alt="{escape(self.alt)}">'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )


def table(frame: pd.DataFrame) -> str:
    """Return a table with three digits, its index as the first column."""
    return f'<div class="wide">{frame.to_html(border=0, float_format="{:.3g}".format)}</div>'


def paragraph(text: str) -> str:
    """Return a paragraph of plain text.

    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p>{escape(text)}</p>"


def page(title: str, parts: Sequence[str]) -> str:
    """Return the whole page; `parts` are HTML."""
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
