"""The pieces pages are made of; they post messages and know no page."""
