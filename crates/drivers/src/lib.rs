//! The shipped drivers: one folder per hardware interface.
