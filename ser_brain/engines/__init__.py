"""Where runs are carried out: local processes, Ray, a store of run folders."""
