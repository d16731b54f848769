//! IPMI 2.0 RMCP+ as a sans-IO protocol: both ends take bytes and time and give bytes and deadlines.
