"""What a person sees: answers in a terminal or a pipe, and the conversation's prompt."""
