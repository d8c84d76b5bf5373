"""The command line: flags in, exit codes out. One file a command."""
