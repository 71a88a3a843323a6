"""Checks that look at a log and say what a person should know before trusting its numbers; they change nothing."""
