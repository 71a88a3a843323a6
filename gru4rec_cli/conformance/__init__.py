"""Proof, step by step, that an implementation of GRU4Rec computes what the author's does."""
