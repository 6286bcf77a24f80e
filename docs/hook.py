"""What mkdocs calls: pages and pictures that are made of the code and of the records."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pages.results import result_pictures
from pages.site import filled, made_pages

made: dict[str, str] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the pages and name them in the navigation."""
    made.clear()
    made.update(made_pages())
    config.nav = filled(config.nav or [], made)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what was made to what stands in docs/."""
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    for path, picture in result_pictures().items():
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files
