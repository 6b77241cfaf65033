"""The action server's side of the assistant: business actions put facts into slots, action_reply and the form speak.

Started with ``rasa run actions``, which imports the modules of this package and finds the actions in them.
"""
