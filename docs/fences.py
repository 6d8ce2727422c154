"""A hook of MkDocs: what the blocks of a page say beside their language, in the form that the theme shows.

docs/run_page.py reads ```python file=a.py, ```text output and ```python postgres or container; the theme knows titles only.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["on_page_markdown"]

_OPENING = re.compile(
    r"^(?P<fence> *```\w+)(?P<words>(?: (?:postgres|container|output|file=\S+))+)$", re.MULTILINE
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this with the text of each page."""
    return _OPENING.sub(_titled, markdown)


def _titled(match: re.Match[str]) -> str:
    titles = [
        word.removeprefix("file=") for word in match["words"].split() if word not in ("postgres", "container")
    ]
    return match["fence"] + "".join(f' title="{title}"' for title in titles)
