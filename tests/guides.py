"""The commands and the code of the README and the guides."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def blocks(page: pathlib.Path) -> list[str]:
    """Its code blocks, without their indentation."""
    found = re.findall(r"(?:^    .*\n|^ *\n)+", page.read_text() + "\n", re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in found]


def commands(page: pathlib.Path) -> list[str]:
    """The shell commands of its code blocks, those over several lines as one."""
    found = []
    for text in blocks(page):
        found += [
            line.split("  #")[0].strip()
            for line in text.replace("\\\n", " ").splitlines()
            if line.startswith(("python ", "scripts/", "srun python "))
        ]
    return found
