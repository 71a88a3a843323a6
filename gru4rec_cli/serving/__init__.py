"""Recommending with a fitted model: in files, over HTTP."""
