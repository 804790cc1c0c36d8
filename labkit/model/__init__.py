"""The served model: its data, its training, its versions on disk, and its HTTP service."""
