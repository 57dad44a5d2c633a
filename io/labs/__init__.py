"""HaasOnline's labs: asking its server, keeping its answers, and one made up that answers as it does."""
