"""Fill in the outputs of a page: ``python -m tests.docs.record docs/start/tutorial.md``.

An output ``?`` is replaced by the one of the command, and so is an output that differs. Read the result
before it is committed, and replace text that differs from run to run by ``…``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.docs.page import Command, Terminal, agrees, blocks, commands
from tests.servers.base import free_port


def record(page: Path) -> None:
    text = page.read_text()
    with tempfile.TemporaryDirectory() as name, Terminal(Path(name), free_port()) as terminal:
        for block in blocks(page):
            if block.kind == "file":
                (Path(name) / block.file).write_text(terminal.local(block.text))
            elif block.kind == "python":
                subprocess.run([sys.executable, "-c", block.text], cwd=name, check=True)
            elif block.kind == "console":
                made = "".join(_recorded(terminal, each) for each in commands(block.text))
                text = text.replace(f"```console\n{block.text}```", f"```console\n{made}```", 1)
    page.write_text(text)


def _recorded(terminal: Terminal, each: Command) -> str:
    _, said = terminal.run(each.text)
    output = each.output
    if output is not None and not agrees(terminal.local(output), said):
        output = re.sub(r" +$", "", said.strip("\n"), flags=re.M)
        output = output.replace(str(terminal.port), "8080")
    return f"$ {each.text}\n" + ("" if output is None else f"{output}\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        record(Path(argument))
