"""The annotator in the browser: a store of label maps, a model that learns along, a server and its page."""
