//! `hushwire-crypto` and the official library, measured side by side: the same operation, in the same run, in turns.
//!
//! The official library measures itself inside Node (`oracle/bench.mjs`); only results come over the line. In each form
//! like is compared with like: *held* keeps the state in memory as each library has it, *stored* reads it from its bytes
//! before each operation and writes it back after, as an app does. What the official figures hold beside is the way between
//! Node and native code, which the first rows measure by itself. It is a part of that build, and of no other use of it.
//!
//! | file | what it is about |
//! |---|---|
//! | `ours` | what an operation is to us; two who talk |
//! | `sessions`, `groups`, `sealed`, `keys` | the operations |
//! | `sizes` | how large stored state is |
//! | `rows`, `table` | figures, and how they are shown |

mod groups;
mod keys;
mod ours;
mod rows;
mod sealed;
mod sessions;
mod sizes;
mod table;

use std::io::{IsTerminal as _, stderr};
use std::path::Path;

use serde_json::json;

use crate::Checked;
use crate::oracle::Oracle;
use ours::{Form, Operation};
use rows::{ASYNC_CALL, CALL, Measured, Row};

/// Rounds that are thrown away: Node compiles what it sees often, and caches fill.
const WARM_UP: u64 = 3;

/// Measures everything in turns and prints a table, or JSON.
pub(crate) fn run(script: &Path, package_dir: Option<&Path>, rounds: u64, as_json: bool) -> Checked<()> {
    let mut theirs = Oracle::start(script, package_dir)?;
    let (library, node) = theirs.versions()?;
    let mut operations: Vec<Operation> = bridge();
    operations.extend(keys::operations());
    operations.extend(sessions::operations()?);
    operations.extend(groups::operations()?);
    operations.extend(sealed::operations()?);
    let mut rows: Vec<Row> = operations.iter().enumerate().flat_map(Row::of).collect();
    for round in 0..WARM_UP + rounds {
        for row in &mut rows {
            let operation = &mut operations[row.operation];
            // Whoever is second may find a warmer machine: they take turns.
            let ours_first = round % 2 == 0;
            let mut ours = || operation.work.as_mut().map(|work| work(row.form, operation.count)).transpose();
            let early = if ours_first { ours()? } else { None };
            let measured = measure(&mut theirs, operation.key, row.form, operation.count)?;
            let our_ns = if ours_first { early } else { ours()? };
            if round >= WARM_UP {
                row.add(our_ns, measured);
            }
        }
        if stderr().is_terminal() {
            eprint!("\r  round {} of {} ", round + 1, WARM_UP + rounds);
        }
    }
    if stderr().is_terminal() {
        eprint!("\r");
    }
    let sizes = sizes::measure(&mut theirs)?;
    let about = json!({"libsignal": library, "node": node, "rounds": rounds});
    if as_json {
        println!("{}", table::json(&about, &rows, &sizes));
    } else {
        print!("{}", table::text(&about, &rows, &sizes));
    }
    Ok(())
}

/// What it costs to call the official build from Node at all. Nothing of ours stands against it.
fn bridge() -> Vec<Operation> {
    let of = |name, key, count, forms| Operation { name, key, count, forms, work: None };
    vec![
        of("the bridge: a call that computes nothing", CALL, 20_000, &[Form::Held][..]),
        of("the bridge: a promise and two store calls", ASYNC_CALL, 500, &[Form::Held, Form::Stored]),
    ]
}

fn measure(theirs: &mut Oracle, key: &str, form: Form, count: usize) -> Checked<Measured> {
    let said = theirs.get("measure", json!({"op": key, "held": form == Form::Held, "count": count}))?;
    let field = |name: &str| said[name].as_f64().ok_or_else(|| format!("no {name} of {key}: {said}"));
    Ok(Measured { nanos: field("ns")?, processor: field("cpu")?, asks: field("calls")? })
}
