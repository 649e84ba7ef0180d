"""Data to model: subspace identification and everything around it."""
