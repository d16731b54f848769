//! JSON requests and responses of the newest API version, as one table of fields.
