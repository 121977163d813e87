"""The paper's rule for outlying runs (Chen and Rudnicky, Section 4).

A run whose score lies outside two standard deviations of its fold's mean
over its runs is discarded and replaced by a run with a new seed. The rule
favours high scores, because it drops some of the runs that are bad by chance.
Figures with and without it are therefore reported side by side.
"""

from dataclasses import dataclass
from fractions import Fraction

WIDTH = 2
ROUNDS = 3


@dataclass(frozen=True)
class Discarded:
    """A run that the rule discarded.

    Arguments
    ---------
    seed : int
        Seed of the run.
    score : float
        Score of the run.
    mean, deviation : float
        Mean and standard deviation of the runs that it was compared with,
        including itself.
    round : int
        Round in which it was discarded; round 1 considers the runs as planned.
    """

    seed: int
    score: float
    mean: float
    deviation: float
    round: int


@dataclass(frozen=True)
class Selection:
    """The runs of one fold that count.

    Arguments
    ---------
    seeds : tuple of int
        Seeds of the runs that count, as many as planned; some may still have
        to be run.
    discarded : tuple of Discarded
        The runs that the rule discarded, in order.
    """

    seeds: tuple[int, ...]
    discarded: tuple[Discarded, ...]


def outliers(scores, width=WIDTH):
    """Find seeds whose score is too many deviations from the mean.

    The deviation is the population standard deviation of the given runs,
    sqrt(sum (x - mean)^2 / n). The paper does not say which one it uses. With
    n - 1 in the denominator the rule would discard even fewer runs; the runs
    are the whole population here, and nothing is estimated from them.

    No score can be further than sqrt(n - 1) such deviations from a mean that
    includes it. Two deviations cannot be exceeded up to n = 5: with the
    paper's five runs on IEMOCAP the rule, taken literally, discards nothing;
    with SAVEE's twenty it can. (With n - 1 the bound is (n - 1) / sqrt(n),
    1.79 at n = 5.)

    Arguments
    ---------
    scores : dict
        Seed to score, all finite. Their order does not matter.
    width : int
        Number of deviations that are allowed, the border included.

    Returns
    -------
    list of int
        The seeds, sorted.

    Example
    -------
    >>> outliers({1: 0.6, 2: 0.6, 3: 0.6, 4: 0.6, 5: 0.6, 6: 0.3})
    [6]
    >>> outliers({1: 0.6, 2: 0.6, 3: 0.6, 4: 0.6, 5: 0.3})
    []
    """
    # Fractions are exact: at n = 5 a score may be on the border.
    exact = {seed: Fraction(score) for seed, score in scores.items()}
    mean, variance = moments(exact.values())
    border = width**2 * variance
    return sorted(s for s, x in exact.items() if (x - mean) ** 2 > border)


def moments(scores):
    """Mean and population variance, exact for fractions.

    Example
    -------
    >>> moments([Fraction(1), Fraction(3)])
    (Fraction(2, 1), Fraction(1, 1))
    """
    scores = list(scores)
    mean = sum(scores) / len(scores)
    return mean, sum((x - mean) ** 2 for x in scores) / len(scores)


def select(scores, runs, rounds=ROUNDS):
    """Select the runs of a fold that count, from the scores so far.

    This is a pure function of the scores: a resumed plan makes the same
    selection again. A round considers as many runs as planned, once all of
    them have a score; each that it discards is replaced by the next unused
    seed. After the last round the rule is not applied again.

    Arguments
    ---------
    scores : dict
        Maps the seeds of finished runs to their scores.
    runs : int
        Number of runs of the fold that count; seeds begin at 1.
    rounds : int
        How often the rule is applied; 0 keeps every run.

    Returns
    -------
    Selection
        Seeds in it without a score have to be run.

    Example
    -------
    >>> scores = dict.fromkeys(range(1, 7), 0.6) | {3: 0.2}
    >>> found = select(scores, runs=6)
    >>> found.seeds, [one.seed for one in found.discarded]
    ((1, 2, 4, 5, 6, 7), [3])
    """
    seeds = list(range(1, runs + 1))
    discarded = []
    for number in range(1, rounds + 1):
        if any(seed not in scores for seed in seeds):
            break
        current = {seed: scores[seed] for seed in seeds}
        out = outliers(current)
        if not out:
            break
        discarded += [_discarded(seed, current, number) for seed in out]
        fresh = runs + len(discarded) - len(out)
        kept = [seed for seed in seeds if seed not in out]
        seeds = kept + [fresh + 1 + extra for extra in range(len(out))]
    return Selection(tuple(seeds), tuple(discarded))


def _discarded(seed, scores, number):
    """The record of one discarded run."""
    mean, variance = moments(list(scores.values()))
    return Discarded(seed, scores[seed], mean, variance**0.5, number)
