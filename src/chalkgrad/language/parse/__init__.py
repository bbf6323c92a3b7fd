"""Text → syntax tree: what a page says before its names mean anything."""
