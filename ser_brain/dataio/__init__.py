"""From a manifest to batches on the device."""
