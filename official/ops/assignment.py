"""Linear assignment: which row gets which column, at the least total cost."""

# B batch, K rows, N columns, M columns with those that stand for none

from keras import ops


def assign(cost, valid):
    """Gives each valid row a column of its own so that the sum of costs is least.

    Shortest augmenting paths (Jonker and Volgenant, 1987,
    https://doi.org/10.1007/BF02278710), in the form for rectangles of Crouse, 2016,
    https://doi.org/10.1109/TAES.2016.140952, which SciPy has, too; here with column
    prices alone, as in the first. Exact but for the rounding of float32. The images of
    a batch are searched side by side, each in its own row: the number of steps is that
    of the slowest image, at most V (V + 1) / 2 for V valid rows.

    A pair whose cost is not finite is forbidden. As many rows as can have an allowed
    pair get one, and among these choices the total is least; a row that cannot has no
    column. If there are more valid rows than columns, the columns go to those rows
    with which the total is least.

    Args:
        cost: `[B, K, N]`.
        valid: bool `[B, K]`; a row that is not valid gets no column.

    Returns:
        int32 `[B, K]`: the column of each row, or -1. It has no gradient.
    """
    cost = ops.stop_gradient(ops.cast(cost, "float32"))
    valid = ops.cast(valid, "bool")
    _, rows, columns = ops.shape(cost)
    allowed = ops.logical_and(ops.isfinite(cost), valid[..., None])
    cost = _finite(cost, allowed, min(rows, columns))
    if rows > columns:
        cost = _with_places_for_none(cost, valid, columns)
    owners, chosen = _greedy(cost, valid)
    chosen = _search(cost, valid, owners, chosen)
    index = ops.arange(columns, dtype="int32")
    taken = ops.logical_and(chosen[..., None] == index, allowed)
    return ops.where(ops.any(taken, axis=-1), chosen, -1)


def _finite(cost, allowed, pairs):
    """Costs from 0; a forbidden pair costs more than all allowed ones of an image."""
    low = ops.min(ops.where(allowed, cost, _LARGE), axis=(1, 2), keepdims=True)
    high = ops.max(ops.where(allowed, cost, -_LARGE), axis=(1, 2), keepdims=True)
    span = ops.maximum(high - low, 0.0)
    forbidden = ops.where(span > 0.0, span, 1.0) * (pairs + 1.0)
    return ops.where(allowed, cost - low, forbidden)


def _with_places_for_none(cost, valid, columns):
    """Adds a column of equal costs for every valid row beyond the columns, `[B, K, M]`.

    With as many columns as valid rows all are used, so that what the added ones cost
    does not matter; further ones, which keep the shape, are out of reach.
    """
    batch, rows, _ = ops.shape(cost)
    spare = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True) - columns
    open_ = ops.arange(rows - columns, dtype="int32") < spare
    added = ops.where(open_, 0.0, _LARGE)[:, None]
    added = ops.broadcast_to(added, (batch, rows, rows - columns))
    return ops.concatenate([cost, added], axis=-1)


_LARGE = 1e30
_NONE = -1


def _greedy(cost, valid):
    """Gives each column to the first valid row that finds it cheapest.

    Returns:
        int32 `[B, M]`, the row of each column; int32 `[B, K]`, the column of each row.
    """
    _, rows, columns = ops.shape(cost)
    wanted = ops.where(valid, _cheapest(cost), _NONE)
    wants = wanted[..., None] == ops.arange(columns, dtype="int32")
    numbers = ops.arange(rows, dtype="int32")[:, None]
    owners = ops.min(ops.where(wants, numbers, rows), axis=1)
    owners = ops.where(owners < rows, owners, _NONE)
    has = ops.logical_and(wants, owners[:, None, :] == numbers)
    return owners, ops.where(ops.any(has, axis=-1), wanted, _NONE)


def _search(cost, valid, owners, chosen):
    """Finds columns for the valid rows that have none, `[B, K]`.

    Prices are kept so that each row's column is among its cheapest, price included. In
    a step every image scans one row: the one for which it searches or the owner of the
    nearest column that is not scanned yet. At a column without an owner, the path
    changes hands.
    """
    batch, rows, columns = ops.shape(cost)
    flat = ops.reshape(cost, (-1, columns))
    starts = ops.arange(batch, dtype="int32") * rows
    row_numbers = ops.arange(rows, dtype="int32")
    column_numbers = ops.arange(columns, dtype="int32")

    def waiting(chosen):
        """The first row without a column, `[B]`; `K` where there is none."""
        lacking = ops.logical_and(valid, chosen < 0)
        return ops.min(ops.where(lacking, row_numbers, rows), axis=1)

    def unfinished(seeker, *_):
        return ops.any(seeker < rows)

    def scan(seeker, row, column, reached, prices, lengths, parents, open_, *pairs):
        owners, chosen = pairs
        offers = ops.take(flat, starts + ops.minimum(row, rows - 1), axis=0) + prices
        # Where the row has a column, it is on the way: nothing is paid for it.
        own = column_numbers == column[:, None]
        paid = ops.sum(ops.where(own, offers, 0.0), axis=1)
        offers = offers + (reached - paid)[:, None]
        shorter = ops.logical_and(offers < lengths, open_)
        lengths = ops.where(shorter, offers, lengths)
        parents = ops.where(shorter, row[:, None], parents)
        best, column = ops.top_k(ops.where(open_, -lengths, -2 * _LARGE), 1)
        reached = -best[:, 0]
        nearest = column_numbers == column
        row = ops.max(ops.where(nearest, owners, _NONE), axis=1)
        active = seeker < rows
        found = ops.logical_and(row < 0, active)
        raised = ops.logical_and(found[:, None], ops.logical_not(open_))
        prices = prices + ops.where(raised, reached[:, None] - lengths, 0.0)
        column = ops.where(active, column[:, 0], _NONE)
        open_ = ops.logical_and(open_, ops.logical_not(nearest))
        owners, chosen = hand_over(found, column, parents, owners, chosen)
        seeker = ops.where(found, waiting(chosen), seeker)
        again = found[:, None]
        return (
            seeker,
            ops.where(found, seeker, row),
            ops.where(found, _NONE, column),
            ops.where(found, 0.0, reached),
            prices,
            ops.where(again, _LARGE, lengths),
            parents,
            ops.logical_or(open_, again),
            owners,
            chosen,
        )

    def hand_over(found, column, parents, owners, chosen):
        """Along the path, each row takes the column after its own."""

        def on_the_way(column, *_):
            return ops.any(column >= 0)

        def take(column, owners, chosen):
            here = column_numbers == column[:, None]
            row = ops.max(ops.where(here, parents, _NONE), axis=1)
            owners = ops.where(here, row[:, None], owners)
            takes = row_numbers == row[:, None]
            former = ops.max(ops.where(takes, chosen, _NONE), axis=1)
            return former, owners, ops.where(takes, column[:, None], chosen)

        column = ops.where(found, column, _NONE)
        _, owners, chosen = ops.while_loop(
            on_the_way, take, (column, owners, chosen), maximum_iterations=rows
        )
        return owners, chosen

    seeker = waiting(chosen)
    *_, chosen = ops.while_loop(
        unfinished,
        scan,
        (
            seeker,
            seeker,
            ops.full((batch,), _NONE, dtype="int32"),
            ops.zeros((batch,), dtype="float32"),
            ops.zeros((batch, columns), dtype="float32"),
            ops.full((batch, columns), _LARGE, dtype="float32"),
            ops.full((batch, columns), _NONE, dtype="int32"),
            ops.ones((batch, columns), dtype="bool"),
            owners,
            chosen,
        ),
        maximum_iterations=rows * (rows + 1) // 2,
    )
    return chosen


def _cheapest(cost):
    """The first of the cheapest columns of each row, int32 `[B, K]`."""
    return ops.cast(ops.top_k(-cost, 1)[1][..., 0], "int32")
