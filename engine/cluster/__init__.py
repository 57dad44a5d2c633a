"""Searches on many processes: what each is given to do, where, and how it comes together to the same bits."""
