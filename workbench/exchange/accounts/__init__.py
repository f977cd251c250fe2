"""What happens to an account: orders are placed, matched, booked, replaced and expire, within its margin."""
