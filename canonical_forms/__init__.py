"""The same model in other coordinates."""
