"""Time reversal of Gaussian models, and the diffusion models that follow from it."""
