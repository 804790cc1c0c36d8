"""Traffic and faults whose truth is known."""
