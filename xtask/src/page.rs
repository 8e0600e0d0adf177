//! The auditor's page in a real browser. What must be seen there is the test's to say.

use std::fs;
use std::path::Path;

use crate::{Failure, cargo, preflight};

/// Finds or installs a browser, and runs the test with it.
pub(crate) fn run(pictures: Option<&Path>) -> Result<(), Failure> {
    preflight::run()?;
    let browser = preflight::run_for_browser()?;
    cargo::announce();
    // The whole workspace, of which one test runs: see `cargo`.
    let mut test = cargo::command("test");
    test.args(["--workspace", "--test", "page", "--", "--ignored"]).env("HUSHWIRE_BROWSER", browser);
    if let Some(dir) = pictures {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let dir = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
        test.env("HUSHWIRE_PICTURES", dir);
    }
    cargo::run(&mut test, "the page is not as it should be")
}
