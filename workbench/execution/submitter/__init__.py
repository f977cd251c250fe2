"""The submitter: passes over the outbox that send what is due and give each answer its one consequence."""
