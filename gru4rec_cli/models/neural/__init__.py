"""Parts that neural models share: trainer, batches, sampling, losses, scoring, devices, settings."""
