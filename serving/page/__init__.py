"""The page that shows what is served and explains a slate: files without a build."""
