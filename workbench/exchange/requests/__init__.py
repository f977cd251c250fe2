"""Reading requests: fields and their combinations, refused in Alpaca's words where they are wrong."""
