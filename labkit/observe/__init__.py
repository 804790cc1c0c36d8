"""What a service tells about itself: metrics, logs and a store of predictions, for any classifier."""
