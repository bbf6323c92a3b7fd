"""Other projects' vectors run through equations: ``python -m tests.conformance DIR``; no data is here."""
