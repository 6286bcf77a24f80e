"""What several commands share: run folders, pages, progress, workers, worlds."""
