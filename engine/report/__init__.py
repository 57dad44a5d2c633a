"""The page of a run: one file that needs no network and no other file, made of what the run kept."""
