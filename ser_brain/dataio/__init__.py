"""Manifest to batches on the device."""
