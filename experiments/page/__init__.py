"""What the pages of the commands share: sessions described, drawn and shown side by side."""
