"""What the pages of docs/plugins/reference are made of: the code, read without importing it."""
