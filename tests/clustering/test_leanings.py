"""Which class a cluster leans to: against pandas, and at its limits."""

import numpy as np
import pandas

from ser_brain.clustering.leanings import class_shares


def test_shares_are_a_cross_table_normalised_twice():
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 40, size=30)
    labels = [generator.integers(6, size=length) for length in lengths]
    classes = [*range(4), *generator.integers(4, size=26)]
    found = class_shares(labels, classes, n_clusters=8, n_classes=4)
    table = pandas.crosstab(
        np.concatenate(labels), np.repeat(classes, lengths), normalize="columns"
    )
    expected = table.div(table.sum(axis=1), axis=0)
    np.testing.assert_allclose(found[:6], expected)
    # Clusters that no frame is in lean to nothing.
    np.testing.assert_allclose(found[6:], 0.25)


def test_a_class_with_more_frames_weighs_no_more():
    labels = [np.array([0, 1]), np.array([0, 1] * 50)]
    found = class_shares(labels, [0, 1], n_clusters=2, n_classes=2)
    np.testing.assert_allclose(found, 0.5)
