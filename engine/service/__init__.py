"""What published runs hold, as plain functions for the doors that stay open: REST, dashboard, notebooks."""
