//! What stands between a relay and its C library, so that a disk or a clock can be bad: see `shims/faults.c`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Around;
use crate::{Failure, said};

const SOURCE: &str = include_str!("../../../shims/faults.c");

/// The library, built.
#[derive(Clone, Debug)]
pub(super) struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Builds it in `dir`.
    ///
    /// # Errors
    /// There is no C compiler.
    pub(super) fn build(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(said)?;
        let (source, library) = (dir.join("faults.c"), dir.join("faults.so"));
        fs::write(&source, SOURCE).map_err(said)?;
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).args(["-ldl", "-lpthread"]);
        let done = cc.output().map_err(|error| format!("no C compiler is here (cc): {error}"))?;
        if done.status.success() {
            Ok(Self { library })
        } else {
            Err(format!("cc does not build the shim: {}", String::from_utf8_lossy(&done.stderr)))
        }
    }

    /// With the shim in between, told this.
    pub(super) fn around(&self, around: &Around, name: &'static str, value: &str) -> Around {
        let mut around = around.clone();
        if !around.env.iter().any(|(known, _)| *known == "LD_PRELOAD") {
            around.env.push(("LD_PRELOAD", self.library.clone().into()));
        }
        around.env.push((name, value.into()));
        around
    }
}
