"""Kills and other faults, put into every long command on tiny inputs: `python -m bench.faults --help`."""
