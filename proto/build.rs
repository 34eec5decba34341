//! Compiles the `.proto` files with a compiler that is itself a Rust library, so that building needs no `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// Where the files of the package are.
const PACKAGE: &str = "dlms/headend/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files = Vec::new();
    for entry in fs::read_dir(format!("proto/{PACKAGE}"))? {
        files.push(format!("{PACKAGE}/{}", entry?.file_name().to_str().ok_or("a file name is not text")?));
    }
    files.sort();
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // The same octets feed the code generator and server reflection.
    fs::write(out.join("headend_v1.bin"), descriptors.encode_to_vec())?;
    // Sorted maps make equal messages equal octets, by which a repeated request is recognised.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
