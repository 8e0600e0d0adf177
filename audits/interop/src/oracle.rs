//! The process around the official library: one request per line, one reply per line.
//!
//! Owns the child, the lines and the hexadecimal in them. What the requests mean is in `oracle/README.md`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::Checked;
use crate::kind::Kind;

/// What the oracle said no to: its own words, and the kind that they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct No {
    pub(crate) kind: Kind,
    pub(crate) words: String,
}

/// A running oracle. It ends when this is dropped.
pub(crate) struct Oracle {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts `oracle.mjs`. `package_dir` is the directory that has the official package in its `node_modules`.
    pub(crate) fn start(script: &Path, package_dir: Option<&Path>) -> Checked<Oracle> {
        let mut command = Command::new("node");
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(dir) = package_dir {
            command.env("LIBSIGNAL_DIR", dir);
        }
        let mut child = command.spawn().map_err(|error| format!("node cannot be started: {error}"))?;
        let to = child.stdin.take();
        let from = child.stdout.take().ok_or("node has no standard output")?;
        Ok(Oracle { child, to, from: BufReader::new(from) })
    }

    /// Asks; what it refuses is a value here.
    pub(crate) fn ask(&mut self, command: &str, mut request: Value) -> Checked<Result<Value, No>> {
        request["cmd"] = command.into();
        let gone = |error| format!("the oracle is gone at {command}: {error}");
        let to = self.to.as_mut().ok_or("the oracle was hung up on")?;
        writeln!(to, "{request}").and_then(|()| to.flush()).map_err(gone)?;
        let mut line = String::new();
        self.from.read_line(&mut line).map_err(gone)?;
        let mut reply: Value = serde_json::from_str(&line)
            .map_err(|error| format!("the oracle answered {command} with {line:?}: {error}"))?;
        if let Some(no) = reply.get("err") {
            return Ok(Err(No { kind: Kind::of_oracle(no), words: no["message"].as_str().unwrap_or("").to_owned() }));
        }
        Ok(Ok(reply["ok"].take()))
    }

    /// Asks for what it must not refuse.
    pub(crate) fn get(&mut self, command: &str, request: Value) -> Checked<Value> {
        self.ask(command, request)?.map_err(|no| format!("the oracle refused {command}: {}", no.words))
    }

    /// The versions of the official library and of node.
    pub(crate) fn versions(&mut self) -> Checked<(String, String)> {
        let said = self.get("version", json!({}))?;
        Ok((text(&said, "libsignal")?, text(&said, "node")?))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.to = None;
        // It ends when its input does; if it hangs, it is not waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes as the oracle writes them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes in a field of a reply.
pub(crate) fn bytes(reply: &Value, field: &str) -> Checked<Vec<u8>> {
    let text = text(reply, field)?;
    HEXLOWER.decode(text.as_bytes()).map_err(|error| format!("{field} of the oracle: {error}"))
}

/// The same, when there must be this many.
pub(crate) fn array<const N: usize>(reply: &Value, field: &str) -> Checked<[u8; N]> {
    let bytes = bytes(reply, field)?;
    bytes.try_into().map_err(|bytes: Vec<u8>| format!("{field} of the oracle has {} bytes, not {N}", bytes.len()))
}

/// The text in a field of a reply.
pub(crate) fn text(reply: &Value, field: &str) -> Checked<String> {
    reply[field].as_str().map(str::to_owned).ok_or_else(|| format!("the oracle's reply has no {field}: {reply}"))
}

/// The number in a field of a reply.
pub(crate) fn number(reply: &Value, field: &str) -> Checked<u32> {
    let number = reply[field].as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("the oracle's reply has no {field}: {reply}"))
}
