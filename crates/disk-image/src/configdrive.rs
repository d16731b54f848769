//! Config drives: OpenStack metadata on an ISO image, as Ironic stores them.
