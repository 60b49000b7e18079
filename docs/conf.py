"Sphinx's settings: notebooks as pages, nothing executed, and no script, font or picture from another host."

project = "mlops_nb"
author = copyright = "the mlops_nb authors"
language = "en"
smartquotes = False  # `--why` stays as it is typed
extensions = ["myst_nb"]
exclude_patterns = ["requirements.in"]

nb_execution_mode = "off"  # a chapter is shown as the pipeline ran it
nb_render_markdown_format = "myst"  # tables in outputs too
nb_ipywidgets_js = {}  # would come from a CDN
myst_enable_extensions = ["colon_fence", "deflist"]  # no mathematics: MathJax would come from a CDN
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page generated from a docstring may skip a level

html_theme = "pydata_sphinx_theme"
html_title = "mlops_nb"
html_sidebars = {"index": [], "proofs": []}  # they have no pages below them to list
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "mlops_nb"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_center": [],
    "footer_end": [],
}
