//! Images on the service's side: fetch, verify, cache; config drives.
