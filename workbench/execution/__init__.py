"""The present: intents become orders at a broker through a journal that neither loses nor doubles one."""
