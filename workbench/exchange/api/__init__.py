"""The HTTP and WebSocket surface: one resource a file, in Alpaca's paths and shapes."""
