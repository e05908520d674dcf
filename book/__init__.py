"""The book's pages, and the tools that turn chapters into a site."""
