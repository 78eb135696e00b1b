"""The measurements that scripts/bench.py makes, one module each."""
