"""The journal: intents, their work in the outbox, and the one door by which a broker's facts change them."""
