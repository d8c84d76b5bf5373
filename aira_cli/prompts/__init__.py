"""From messages to token ids: formats make control tokens, text never can."""
