"""Azure Resource Graph and the activity log."""
