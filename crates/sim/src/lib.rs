//! A simulated fleet: IPMI BMCs, machines and agents that speak the real protocols in one process.
