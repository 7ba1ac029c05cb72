"""A differential fuzzer: random programs of known power, and every figure held against the exact integral."""
