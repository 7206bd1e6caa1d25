"""The style of the pages for users, and the check of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs._ext.style import ROOT, findings, pages, prose, sentences


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_plain(page: Path):
    assert list(findings(str(page), page.read_text())) == []


def test_words_and_lengths_are_found():
    (word,) = findings("page", "One word.\n\nSimply run it.\n")
    assert word.startswith("page:3: 'Simply'")
    long, mean = findings("page", "word " * 41 + ".")
    assert "41 words" in long
    assert "on average" in mean


def test_code_tables_and_links_are_no_sentences():
    text = "# Head\n\nSee [the page](x.md) and `simply`.\n\n| a | very |\n\n```sh\nquite\n```\n"
    assert list(sentences(prose(text))) == [["See", "the", "page", "and", "x."]]
