//! gRPC API of the head-end.
