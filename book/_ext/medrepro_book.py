"""Sphinx extension of the book: formulas as MathML, figures as files, no picture without a text.

Formulas become MathML while the book is built, so that no page loads a script or a font for them. Figures arrive in
notebook outputs as HTML with the picture inside; they are written beside the page, where browsers cache them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

_LOG = logging.getLogger(__name__)

# latex2mathml knows the outer environments only, and numbers every row of the unstarred ones; Sphinx numbers formulas.
_ENVIRONMENTS = re.compile(r"\\(begin|end)\{(?:align|aligned|split|gather|gathered|eqnarray|multline)\*?\}")
_OUTER = re.compile(r"\\(begin|end)\{(?:equation|displaymath|math)\*?\}")
_NAME = re.compile(r"<mo>([A-Za-z]{2,})</mo>")
_LEFT_OVER = re.compile(r"<m[ino]>(?:\\[A-Za-z]+|&)</m[ino]>|\\(?:begin|end)\b")
_LONG = 18  # characters
_DATA_PNG = re.compile(r'(<img\b[^>]*?\bsrc=")data:image/png;base64,([A-Za-z0-9+/=\s]+)"')
_IMAGE = re.compile(r"<img\b[^>]*>")
_ALT = re.compile(r'\balt="([^"]*)"')
_FILE_NAME = re.compile(r"\.(?:png|svg|jpe?g|gif|webp)$", re.IGNORECASE)


def mathml(latex: str, *, display: bool) -> str:
    """MathML of a LaTeX formula; ValueError names what could not be translated."""
    latex = _OUTER.sub("", latex).strip()
    if display and r"\\" in _outside_environments(latex):  # rows without an environment, which Sphinx allows
        latex = rf"\begin{{align*}}{latex}\end{{align*}}"
    latex = _ENVIRONMENTS.sub(r"\\\1{align*}", latex)
    try:
        html = convert(latex, display="block" if display else "inline")
    except Exception as error:  # the library has no common base class for its errors
        raise ValueError(f"{type(error).__name__} in the formula {latex!r}") from error
    # A function's name is set like an operator, with a gap on both sides; as an identifier it stands close.
    html = _NAME.sub(r"<mi>\1</mi>", html)
    found = _LEFT_OVER.search(html)
    if found:
        raise ValueError(f"{re.sub('<[^>]*>', '', found[0])!r} has no MathML in the formula {latex!r}")
    return html


def _outside_environments(latex: str) -> str:
    """The formula without everything between \\begin{x} and \\end{x}."""
    inner = re.compile(r"\\begin\{(\w+\*?)\}(?:(?!\\begin\{).)*?\\end\{\1\}", re.DOTALL)
    while inner.search(latex):
        latex = inner.sub("", latex)
    return latex


def _write_math(self: Any, node: nodes.Element, *, display: bool) -> None:
    try:
        html = mathml(node.astext(), display=display)
        # Browsers do not break a formula inside a line; the style sheet lets a long one scroll on a phone.
        if not display and len(unescape(re.sub("<[^>]*>", "", html))) > _LONG:
            html = html.replace("<math ", '<math class="mr-long" ', 1)
        self.body.append(html)
    except ValueError as error:
        _LOG.warning("formula cannot be shown: %s", error, location=node)
        self.body.append(f"<code>{self.encode(node.astext())}</code>")


def visit_math(self: Any, node: nodes.math) -> None:
    """An inline formula."""
    _write_math(self, node, display=False)
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: nodes.math_block) -> None:
    """A formula on its own line, with number and link when it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math mr-equation"))
    self.body.append('<div class="mr-formula">')
    _write_math(self, node, display=True)
    self.body.append("</div>")
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def take_out_pictures(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Write pictures that lie inside a page's HTML into files, and warn of any picture without alt text."""
    body = context.get("body")
    if not body or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_images"
    up = "../" * pagename.count("/")

    def to_file(found: re.Match[str]) -> str:
        data = base64.b64decode(found[2])
        name = f"{hashlib.sha256(data).hexdigest()[:24]}.png"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / name).is_file():
            (folder / name).write_bytes(data)
        return f'{found[1]}{up}_images/{name}"'

    context["body"] = _DATA_PNG.sub(to_file, body)
    for tag in _IMAGE.findall(context["body"]):
        alt = _ALT.search(tag)
        # Sphinx fills a missing alt text with the file's name.
        if alt is None or not alt[1].strip() or _FILE_NAME.search(alt[1]):
            _LOG.warning(
                "picture without alt text; display figures with medrepro.plots.show: %s", tag, location=pagename
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.connect("html-page-context", take_out_pictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
