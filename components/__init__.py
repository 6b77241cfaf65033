"""The rooms that Rasa loads: thin adapters between Rasa's graph and the library kefu."""
