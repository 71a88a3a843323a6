"""Checks of data, splits, runs, models and predictions for known faults, each with a verdict."""
