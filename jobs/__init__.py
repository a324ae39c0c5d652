"""Click commands over use cases over adapters: the campaign of rounds."""
