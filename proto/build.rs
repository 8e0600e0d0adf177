//! Compiles `wire/*.proto` with protox, so that no protoc need be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["wire/relay.proto", "wire/keys.proto", "wire/account.proto"];
    let descriptors = protox::compile(files, ["wire"])?;
    prost_build::Config::new().bytes(["."]).include_file("wire.rs").compile_fds(descriptors)?;
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    Ok(())
}
