"""One recipe from alerts to a verdict, and its doors."""
