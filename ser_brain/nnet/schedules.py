"""Learning rate schedules: pure functions, so nothing to checkpoint."""


class ConstantRate:
    """The same learning rate at every update (V-FT).

    Arguments
    ---------
    lr : float
        Learning rate.

    Example
    -------
    >>> ConstantRate(1e-4)(update=7, updates=100)
    0.0001
    """

    def __init__(self, lr):
        self.lr = lr

    def __call__(self, update, updates):
        """Rate of an update, counted from 0, in a stage of ``updates``."""
        return self.lr


class WarmFlatLinear:
    """Linear warm-up, constant phase, linear decay to zero (TAPT, P1, P3).

    Arguments
    ---------
    lr : float
        Highest learning rate.
    warm : float
        Updates of warm-up; below 1, a share of all updates.
    flat : float
        Updates at the highest rate; below 1, a share of all updates.

    Example
    -------
    >>> rate = WarmFlatLinear(1.0, warm=10, flat=0.05)
    >>> [rate(update, updates=100) for update in (0, 5, 10, 15, 100)]
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """

    def __init__(self, lr, warm, flat):
        self.lr, self.warm, self.flat = lr, warm, flat

    def __call__(self, update, updates):
        """Rate of an update, counted from 0, in a stage of ``updates``."""
        warm, flat = (
            int(part * updates) if part < 1 else int(part)
            for part in (self.warm, self.flat)
        )
        if update < warm:
            return self.lr * update / warm
        left = max(updates - warm - flat, 1)
        return self.lr * min(1.0, max(0.0, (updates - update) / left))
