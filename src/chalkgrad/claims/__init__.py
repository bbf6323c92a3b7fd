"""Grading a gradient that somebody derived by hand: on paper as equations, or in NumPy."""
