"""Benchmarks: what functions, releases, many releases at once and the build cost. `make bench` runs them."""
