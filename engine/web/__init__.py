"""The doors that stay open: the REST API."""
