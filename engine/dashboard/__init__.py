"""The dashboard: pages in a browser over published runs, on the service layer that the API has too (Streamlit)."""
