"""The REST API: answers over HTTP out of the service layer. Needs the extra ``api``."""
