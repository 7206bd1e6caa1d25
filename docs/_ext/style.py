"""The style of the pages: plain words, short sentences. A finding ends the build.

python -m docs._ext.style
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

#: Most words up to a full stop, a colon or a semicolon, and of a sentence on average over a page.
LONGEST: Final = 40
MEAN: Final = 18.0

#: Words that the pages avoid, with the better one.
AVOIDED: Final = {
    r"whoever|whatever": "name the thing",
    r"utili[sz]e[sd]?": "use",
    r"in order to": "to",
    r"please note|note that": "(nothing)",
    r"simply|obviously|easily|of course": "(nothing)",
    r"very|really|quite": "(nothing)",
    r"whitelist|blacklist": "allow list, deny list",
    r"leverage[sd]?": "use",
    r"give back|take back|gives back|takes back": "release, return, reclaim",
    r"master|slave": "primary, standby",
    r"he|him|his|himself|oneself": "name the thing",
    r"blazing|seamless(?:ly)?|cutting-edge|world-class": "a measured fact",
}

_FENCE: Final = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.M | re.S)
_CODE: Final = re.compile(r"`[^`]*`")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
#: Lines that are no sentences: tables, headings, comments, indented code.
_OTHER: Final = re.compile(r"^(\||#|<!--|    \S|:\w+:).*$", re.M)


def pages() -> list[Path]:
    """The pages for users."""
    found = [ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/**/*.md")]
    return [each for each in sorted(found) if "_site" not in each.parts]


def prose(text: str) -> str:
    """The text of a page without code; a link is its text."""
    text = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    return _LINK.sub(r"\1", _CODE.sub("x", text))


def sentences(text: str, ends: str = ".!?") -> Iterator[list[str]]:
    """The words of each sentence, or of each part that ends with one of some characters."""
    for paragraph in re.split(r"\n\s*\n|\n *(?:[-*]|\d+\.) ", _OTHER.sub("\n\n", text)):
        for sentence in re.split(rf"(?<=[{ends}])[*\")]*\s+", paragraph):
            words = [each for each in sentence.split() if re.search(r"\w", each)]
            if words:
                yield words


def findings(name: str, page: str) -> Iterator[str]:
    """Each finding of a page."""
    text = prose(page)
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, better in AVOIDED.items():
            for found in re.finditer(rf"\b(?:{pattern})\b", line, re.I):
                yield f"{name}:{number}: {found[0]!r}: better: {better}"
    for words in sentences(text, ends=".!?:;"):
        if len(words) > LONGEST:
            yield f"{name}: {len(words)} words: {' '.join(words[:8])} …"
    lengths = [len(words) for words in sentences(text)]
    if lengths and sum(lengths) / len(lengths) > MEAN:
        yield f"{name}: {sum(lengths) / len(lengths):.1f} words a sentence on average"


def main() -> None:
    """Print all findings."""
    found = [
        each for page in pages() for each in findings(str(page.relative_to(ROOT)), page.read_text())
    ]
    print("\n".join(found), end="\n" if found else "")
    files = map(str, [*pages(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", "toi", *files]
    spelling = subprocess.run(command, check=False)
    sys.exit(1 if found or spelling.returncode else 0)


if __name__ == "__main__":
    main()
