"""Pages on paper: drawn by Typst from facts, never from text spliced into markup."""
