"""The web pages: plain HTML, CSS and JavaScript, served by the channels."""
