"""What the exchange keeps: accounts by their rules, orders, positions, fills."""
