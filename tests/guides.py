"""The commands and the code of the README and the guides."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

_COMMAND = re.compile(r"(?:srun )?python |scripts/\w")


def blocks(page: pathlib.Path) -> list[str]:
    """Its code blocks, without their indentation."""
    found = re.findall(r"(?:^    .*\n|^ *\n)+", page.read_text() + "\n", re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in found]


def commands(page: pathlib.Path) -> list[str]:
    """The shell commands of its code blocks, those over several lines as one."""
    found = []
    for text in blocks(page):
        found += [
            " ".join(line.split("  #")[0].split())
            for line in text.replace("\\\n", " ").splitlines()
            if _COMMAND.match(line)
        ]
    return found


def every() -> list[str]:
    """The commands of all pages, each once."""
    return list(dict.fromkeys(c for page in PAGES for c in commands(page)))


def beginning(*starts: str) -> list[str]:
    """Those of `every` that begin so."""
    return [command for command in every() if command.startswith(starts)]
