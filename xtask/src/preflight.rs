//! What a machine must have before anything is built.
//!
//! A build that lacks a tool fails after minutes, deep inside a dependency, in that dependency's words. So every tool is
//! tried first; what is missing is installed where that needs no person, and else named with the command that does it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;

/// The newest directory patterns of `clang-sys`, which is what looks for libclang when RocksDB is built. A `*` stands
/// for one directory.
const LIBCLANG_DIRECTORIES: &[&str] = &[
    "/usr/local/llvm*/lib*",
    "/usr/local/lib*",
    "/usr/local/lib*/*",
    "/usr/local/lib*/*/*",
    "/usr/lib*",
    "/usr/lib*/*",
    "/usr/lib*/*/*",
    "/usr/local/opt/llvm*/lib",
    "/opt/homebrew/opt/llvm*/lib",
    "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
];

/// Where clang keeps the headers that belong to itself. libclang without them cannot read RocksDB's interface.
const CLANG_HEADERS: &[&str] = &[
    "/usr/lib*/llvm*/lib*/clang/*/include/stddef.h",
    "/usr/lib*/clang/*/include/stddef.h",
    "/usr/local/lib*/clang/*/include/stddef.h",
    "/usr/local/llvm*/lib*/clang/*/include/stddef.h",
];

/// The modules that OpenSSL's `Configure` loads. Debian's `perl-base` lacks them.
const PERL_MODULES: &[&str] = &["-MFindBin", "-MIPC::Cmd", "-MFile::Compare", "-MFile::Copy", "-MTime::Piece"];

/// Something a build needs.
struct Tool {
    name: &'static str,
    needed_for: &'static str,
    /// The package of Debian and Ubuntu that brings it.
    package: &'static str,
    is_there: fn() -> bool,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "a C compiler (cc)",
        needed_for: "SQLCipher, OpenSSL, aws-lc and every link",
        package: "build-essential",
        is_there: || compiles("CC", "cc", "c", "#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n"),
    },
    Tool {
        name: "a C++ compiler (c++)",
        needed_for: "RocksDB",
        package: "build-essential",
        is_there: || compiles("CXX", "c++", "c++", "#include <vector>\nint main() { return 0; }\n"),
    },
    Tool {
        name: "make",
        needed_for: "OpenSSL, which SQLCipher encrypts with",
        package: "build-essential",
        is_there: || runs("make", &["--version"]),
    },
    Tool {
        name: "perl with its standard modules",
        needed_for: "configuring OpenSSL",
        package: "perl",
        is_there: || runs("perl", &[PERL_MODULES, &["-e1"]].concat()),
    },
    Tool {
        name: "libclang with its headers",
        needed_for: "the Rust side of RocksDB's interface",
        package: "libclang-dev",
        is_there: libclang_is_there,
    },
];

/// What only `cargo xtask interop` needs.
const NODE_TOOLS: &[Tool] = &[
    Tool {
        name: "node 18 or newer",
        needed_for: "the official Signal library, which is talked to",
        package: "nodejs",
        is_there: node_is_there,
    },
    Tool { name: "npm", needed_for: "fetching that library", package: "npm", is_there: || runs("npm", &["--version"]) },
];

/// What a browser is called.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What only `cargo xtask page` needs.
const BROWSER_TOOLS: &[Tool] = &[Tool {
    name: "a browser (Chromium or Chrome)",
    needed_for: "looking at the auditor's page",
    package: "chromium",
    is_there: || browser().is_ok(),
}];

/// Makes sure that everything is there that a build needs.
pub(crate) fn run() -> Result<(), Failure> {
    run_for(TOOLS)
}

/// Makes sure that everything is there that the official library needs.
pub(crate) fn run_for_node() -> Result<(), Failure> {
    run_for(NODE_TOOLS)
}

/// Makes sure that there is a browser: its name.
pub(crate) fn run_for_browser() -> Result<&'static str, Failure> {
    run_for(BROWSER_TOOLS)?;
    browser()
}

fn browser() -> Result<&'static str, Failure> {
    let found = BROWSERS.iter().find(|name| runs(name, &["--version"]));
    found.copied().ok_or_else(|| "there is no browser".to_owned())
}

fn run_for(tools: &'static [Tool]) -> Result<(), Failure> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    println!("  · missing on this machine:");
    for tool in &missing {
        println!("      {}, for {}", tool.name, tool.needed_for);
    }
    let Some(installer) = Installer::find() else {
        return Err(format!(
            "install {} with your system's packages, then run this again. Missing now: {}",
            names(&tools.iter().collect::<Vec<_>>()),
            names(&missing)
        ));
    };
    let packages = packages(&missing);
    if !installer.needs_no_person() {
        return Err(format!(
            "install what is missing, then run this again:\n\n    {}\n",
            installer.as_typed(&packages)
        ));
    }
    println!("  · installing it: {}", installer.as_typed(&packages));
    installer.install(&packages)?;
    let missing = self::missing(tools);
    if !missing.is_empty() {
        return Err(format!("apt-get has ended, and this is still missing: {}", names(&missing)));
    }
    println!("  ✓ installed");
    Ok(())
}

fn missing(tools: &'static [Tool]) -> Vec<&'static Tool> {
    tools.iter().filter(|tool| !(tool.is_there)()).collect()
}

fn names(tools: &[&Tool]) -> String {
    tools.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ")
}

fn packages(tools: &[&Tool]) -> Vec<&'static str> {
    let mut packages: Vec<_> = tools.iter().map(|tool| tool.package).collect();
    packages.dedup();
    packages
}

fn runs(program: impl AsRef<OsStr>, args: &[&str]) -> bool {
    let quiet =
        Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// A compiler without its headers is as good as none, so it is given something to read.
fn compiles(variable: &str, program: &str, language: &str, source: &str) -> bool {
    let program = env::var_os(variable).unwrap_or_else(|| program.into());
    let child = Command::new(program)
        .args(["-x", language, "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(source.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}

/// `v20.1.0` and the like. The official library does not load in older ones.
fn node_is_there() -> bool {
    let version = Command::new("node").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    is_node_recent(String::from_utf8_lossy(&version).trim())
}

fn is_node_recent(version: &str) -> bool {
    let major = version.strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 18)
}

fn libclang_is_there() -> bool {
    if let Some(path) = env::var_os("LIBCLANG_PATH").map(PathBuf::from) {
        return path.is_file() || has_libclang(&path);
    }
    let configured = Command::new("llvm-config").arg("--libdir").output().ok().filter(|output| output.status.success());
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let library = configured.is_some_and(|dir| has_libclang(&dir))
        || LIBCLANG_DIRECTORIES.iter().flat_map(|pattern| matching(pattern)).any(|dir| has_libclang(&dir));
    // Elsewhere than on Linux the headers come with the library.
    library && (!cfg!(target_os = "linux") || CLANG_HEADERS.iter().any(|pattern| !matching(pattern).is_empty()))
}

fn has_libclang(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| is_libclang(&entry.file_name().to_string_lossy()) && entry.path().exists())
}

/// `libclang.so`, `libclang-14.so`, `libclang.so.1`, `libclang-14.so.14`; not `libclang-cpp.so`, which is another.
fn is_libclang(file: &str) -> bool {
    let Some(rest) = file.strip_prefix("libclang") else { return false };
    if rest == ".dylib" {
        return true;
    }
    let version = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let Some((before, after)) = rest.split_once(".so") else { return false };
    before.strip_prefix('-').map_or(before.is_empty(), version)
        && (after.is_empty() || after.starts_with('.') && version(after))
}

/// The paths that fit a pattern in which `*` stands for any part of one name.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => found.into_iter().map(|dir| dir.join(part)).filter(|path| path.exists()).collect(),
            Some((head, tail)) => found.iter().flat_map(|dir| children(dir, head, tail)).collect(),
        };
    }
    found
}

fn children(dir: &Path, head: &str, tail: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let fits = |name: &str| name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail);
    entries.flatten().filter(|entry| fits(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

/// The way to packages on Debian, Ubuntu and what derives from them.
struct Installer {
    is_root: bool,
    /// `sudo` asks for nothing.
    has_sudo: bool,
}

impl Installer {
    fn find() -> Option<Self> {
        if !runs("apt-get", &["--version"]) {
            return None;
        }
        let id = Command::new("id").arg("-u").output().map(|output| output.stdout).unwrap_or_default();
        let is_root = id.trim_ascii() == b"0";
        Some(Self { is_root, has_sudo: !is_root && runs("sudo", &["-n", "true"]) })
    }

    fn needs_no_person(&self) -> bool {
        self.is_root || self.has_sudo
    }

    fn as_typed(&self, packages: &[&str]) -> String {
        let sudo = if self.is_root { "" } else { "sudo " };
        let packages = packages.join(" ");
        format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}")
    }

    fn install(&self, packages: &[&str]) -> Result<(), Failure> {
        self.apt(&["update", "-q"], packages)?;
        let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
        install.extend(packages);
        self.apt(&install, packages)
    }

    fn apt(&self, args: &[&str], packages: &[&str]) -> Result<(), Failure> {
        // `env` and not `Command::env`: sudo would drop the variable.
        let mut words = if self.is_root { vec![] } else { vec!["sudo", "-n"] };
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        words.extend(args);
        let mut words = words.into_iter();
        let status = Command::new(words.next().unwrap_or_default()).args(words).stdin(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        Err(format!("apt-get failed, as it says above. Once it works, type\n\n    {}\n", self.as_typed(packages)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        for name in [
            "libclang.so",
            "libclang-14.so",
            "libclang.so.1",
            "libclang-14.so.14.0.6",
            "libclang-14.0.6.so",
            "libclang.dylib",
        ] {
            assert!(is_libclang(name), "{name}");
        }
        for name in
            ["libclang-cpp.so.14", "libclangAST.a", "libclang_rt.asan-x86_64.so", "libclang.a", "libclang.socket"]
        {
            assert!(!is_libclang(name), "{name}");
        }
    }

    #[test]
    fn a_pattern_finds_what_fits_each_part() {
        assert_eq!(matching("/us*"), [PathBuf::from("/usr")]);
        assert_eq!(matching("/us*/bin"), [PathBuf::from("/usr/bin")]);
        assert!(matching("/us*/no-such-*").is_empty());
    }

    #[test]
    fn an_old_node_is_none() {
        assert!(is_node_recent("v18.0.0") && is_node_recent("v22.1.3"));
        assert!(!is_node_recent("v16.20.2") && !is_node_recent("") && !is_node_recent("node"));
    }

    #[test]
    fn a_package_is_asked_for_once() {
        assert_eq!(packages(&TOOLS.iter().collect::<Vec<_>>()), ["build-essential", "perl", "libclang-dev"]);
    }
}
