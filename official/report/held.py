"""What the splits of a dataset hold, in the terminal, before it is learned from."""

import rich.table

from official.data import base as data_base
from official.report import contents, segment_contents, terminal
from official.tasks import base as tasks_base


def show(
    dataset: data_base.Dataset, splits: tuple[str, ...], task: tasks_base.Task
) -> list[rich.table.Table]:
    """Prints a table of boxes, or of segments for a task that learns them.

    Returns:
        What was printed.

    Raises:
        failures.DataError: If a split is missing or faulty.
    """
    tables = [contents.table(dataset, splits, most_boxes=task.most_boxes)]
    if task.segment_limits is not None:
        tables.append(segment_contents.table(dataset, splits, task.segment_limits))
    shown = [table for table in tables if table is not None]
    for table in shown:
        terminal.console.print(table)
    return shown
