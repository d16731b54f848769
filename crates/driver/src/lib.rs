//! One trait per hardware interface, and what every driver shares.
