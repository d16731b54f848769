//! The HTTP API: routes, authentication, handlers.
