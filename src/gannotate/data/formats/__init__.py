"""Label maps in the formats of other tools: one file a format, see base.py for what each gives."""
