"""labkit: learn to watch machine-learning models in production, on real servers."""
