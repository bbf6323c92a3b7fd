"""A tour in seven scenes, each a screenful: ``python -m chalkgrad.demo``."""
