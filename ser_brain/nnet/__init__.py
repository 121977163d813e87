"""Building blocks without I/O or settings: pooling, heads, masks, losses."""
