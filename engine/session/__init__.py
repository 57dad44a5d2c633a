"""The session runner: opening-range strategies over the sessions of many symbols (kernels/SESSIONS.md)."""
