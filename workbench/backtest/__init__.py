"""The past: weights replayed through history after costs, measured, and asked how likely they are luck."""
