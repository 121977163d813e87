"""Progress bars."""

from functools import partial

from tqdm import tqdm

# As tqdm; shown on a terminal only, and gone when the work is done.
passing_bar = partial(tqdm, leave=False, dynamic_ncols=True, disable=None)
