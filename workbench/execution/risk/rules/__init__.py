"""The rules of the risk check by family; each takes the exposure so far and a wish, and refuses it or does not."""
