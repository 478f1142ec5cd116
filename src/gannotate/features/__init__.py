"""From taps to per-pixel features, without ever building them at full resolution."""
