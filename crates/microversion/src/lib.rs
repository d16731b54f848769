//! API microversions as rows: releases, negotiation, gates.
