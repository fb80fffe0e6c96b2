"""What a person sees: one file a page, and the dialogs over them."""
