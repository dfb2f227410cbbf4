"""Policy files: their language, how they are loaded and checked, and what they want."""
