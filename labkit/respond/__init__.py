"""What answers an alert: a local inbox for messages, and the retrainer."""
