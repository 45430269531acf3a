"""Canonicalization patterns, one file per dialect."""
