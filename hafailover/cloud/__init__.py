"""The cloud: what to call next and what an answer means (pure), and the client, credentials and metadata."""
