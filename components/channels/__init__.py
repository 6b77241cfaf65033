"""Input channels of the assistant: REST (``rest.KefuRestInput``), the chat page and its socket (``web.WebInput``)."""
