//! Config drives.
