"""Gradients through time, seen: how much of them reaches each step, by which path, while a layer trains."""
