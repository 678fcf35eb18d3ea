"""From footage to weights: shots, batches of degraded samples, the loss, the loop."""
