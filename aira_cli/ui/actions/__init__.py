"""What the commands of the chat do, a file for each kind of thing that they work on."""
