//! Every state, every command, both policies.
