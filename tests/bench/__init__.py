"""Benchmarks: each starts its peers itself, interleaves the runs, prints medians and ratios."""
