//! Composes the roles api, conductor and netboot from one configuration.
