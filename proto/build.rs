//! Compiles the `.proto` files with a compiler that is itself a Rust library, so that building needs no `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 7] = [
    "dlms/headend/v1/value.proto",
    "dlms/headend/v1/result.proto",
    "dlms/headend/v1/meter.proto",
    "dlms/headend/v1/meter_registry.proto",
    "dlms/headend/v1/capture.proto",
    "dlms/headend/v1/reading.proto",
    "dlms/headend/v1/data.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // The same octets feed the code generator and server reflection.
    fs::write(out.join("headend_v1.bin"), descriptors.encode_to_vec())?;
    // Sorted maps make equal messages equal octets, by which a repeated request is recognised.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
