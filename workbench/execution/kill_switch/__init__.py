"""The kill switch: halt, cancel until nothing is open, and flatten if asked to, whatever else is down."""
