"""Configuration of Sphinx; see docs/build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from borough import __version__
from docs._ext.pages import expand

project = "Borough"
copyright = "the authors of Borough, Apache License 2.0"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_site", "_ext", "_diagrams"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"Borough {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
# A copied command has neither its prompt nor its output.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
add_module_names = False
# The topology files and the changelog are shown, not copied, so their links are those of the checkout.
suppress_warnings = ["myst.strikethrough"]


def _expand(_app: Any, _page: str, source: list[str]) -> None:
    source[0] = expand(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Insert the generated parts into the pages that ask for them."""
    app.connect("source-read", _expand)
    return {"parallel_read_safe": True}
