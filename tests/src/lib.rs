//! Tests that start real VMs.
