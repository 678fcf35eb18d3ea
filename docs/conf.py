"""How the site is built: ``sphinx-build -W docs site``. Commands and Python API are read from the package."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from videoinr_cli import __version__  # noqa: E402 -- the copy beside this file, not an installed one

project = "videoinr"
release = version = __version__
copyright = "the videoinr contributors; Apache-2.0"
html_title = f"videoinr {__version__}"
html_theme = "furo"
html_static_path: list[str] = []
html_show_copyright = False
html_copy_source = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

add_module_names = False
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
default_role = "code"  # docstrings name things in single backticks
smartquotes = False  # they make one dash of the two before an option


OUTSIDE = {
    "../weights/README.md": "model-card.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
}
"""Files of the repository that pages link to, and the pages of the site that include them."""


def link_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead links that leave docs/, right in the repository, to the site's own pages."""
    for file, page in OUTSIDE.items():
        source[0] = source[0].replace(f"]({file}", f"]({page}")


def document_fields(
    app: Sphinx, what: str, name: str, record: object, options: object, lines: list[str]
) -> None:
    """Describe the fields of a dataclass by the comments that stand behind them in its source."""
    if not isinstance(record, type) or not dataclasses.is_dataclass(record):
        return
    told = {field: comment for base in reversed(record.__mro__) for field, comment in comments_of(base)}
    lines.append("")
    for field in dataclasses.fields(record):
        lines += [f":ivar {field.name}: {told.get(field.name, '')}", f":vartype {field.name}: {field.type}"]


def comments_of(record: type) -> Iterator[tuple[str, str]]:
    """Yield the name of each field that a class declares, and the comment behind and below it."""
    if not dataclasses.is_dataclass(record):
        return
    source = textwrap.dedent(inspect.getsource(record))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (declared,) = ast.parse(source).body
    assert isinstance(declared, ast.ClassDef)
    for node, following in zip(declared.body, [*declared.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            stop = len(source.splitlines()) if following is None else following.lineno
            if isinstance(following, ast.FunctionDef) and following.decorator_list:
                stop = following.decorator_list[0].lineno
            yield node.target.id, " ".join(comments[n] for n in range(node.lineno, stop) if n in comments)


def setup(app: Sphinx) -> None:
    app.connect("source-read", link_to_pages)
    app.connect("autodoc-process-docstring", document_fields)
