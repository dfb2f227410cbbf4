"""What the commands, the log and outcome events show: one module for each format; pure."""
