"""A tour in nine scenes, each a screenful: ``python -m chalkgrad.demo``."""
