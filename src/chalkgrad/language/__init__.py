"""Text → equations."""
