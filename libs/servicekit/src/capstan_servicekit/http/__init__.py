"""The HTTP side of a service: the app factory, secured routes, the routes that every service has, the server."""
