"""Sub-commands of ``ser-brain``: arguments and printing, one file each."""
