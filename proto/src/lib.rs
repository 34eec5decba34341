//! gRPC API of the head-end: the package `dlms.headend.v1` as Rust types, clients and servers.
//!
//! The `.proto` files in `proto/` are the documentation; every comment there is a doc comment here.

/// Package `dlms.headend.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
pub mod v1 {
    tonic::include_proto!("dlms.headend.v1");

    /// The encoded `FileDescriptorSet` of the package, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/headend_v1.bin"));
}

/// Domain of the ErrorInfo details that the head-end attaches to its errors.
pub const ERROR_DOMAIN: &str = "headend.dlms";
