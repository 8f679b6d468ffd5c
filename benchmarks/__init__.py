"""Measures the whole way from platform to Postgres, as ratios of its own floor.

`python -m benchmarks` runs it; docs/benchmarks.md says what is measured and what came out.
"""
