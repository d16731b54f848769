//! The step engine's shell: runs effects, records outcomes, keeps timers and leases.
