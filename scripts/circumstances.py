"""What a measured figure depends on besides its command."""

import datetime
import pathlib
import platform
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from official.report import machine


def now() -> dict[str, Any]:
    """Commit, date, cores, processor and Python, for a file of results."""
    return {
        "commit": machine.commit(),
        "date": datetime.date.today().isoformat(),
        "cores": machine.cores(),
        "processor": machine.processor(),
        "python": platform.python_version(),
    }
