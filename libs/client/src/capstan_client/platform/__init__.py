"""The platform on one machine: broker and six services as processes under one supervisor, all state in one folder."""
