//! A relay and a keyserver that stay, with two accounts to try them with.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::person::Person;
use crate::stack::Server;
use crate::workshop::Workshop;
use crate::{Failure, cargo, preflight};

/// How often the servers are looked after.
const POLL: Duration = Duration::from_millis(500);

/// Runs until Ctrl-C. In `dir` it can be run again.
pub(crate) fn run(dir: Option<PathBuf>) -> Result<(), Failure> {
    preflight::run()?;
    cargo::build()?;
    let workshop = match &dir {
        Some(dir) => Workshop::at(dir)?,
        None => Workshop::temporary()?,
    };
    let mut servers = [Server::relay(&workshop)?, Server::keyserver(&workshop)?];
    let [relay, keyserver] = &servers;
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(name, &workshop));
    for person in [&alice, &bob].into_iter().filter(|person| !person.dir.exists()) {
        person.register(&relay.address, &keyserver.address)?;
    }
    for (person, other) in [(&alice, &bob), (&bob, &alice)] {
        if person.run(&["contact", "list"])?.is_empty() {
            person.run(&["contact", "add", other.name])?;
        }
    }
    println!("\n  relay      {}\n  keyserver  {}\n", relay.address, keyserver.address);
    println!("In one terminal, as Alice:\n\n    {}\n", chat(&alice, &bob));
    println!("In another, as Bob:\n\n    {}\n", chat(&bob, &alice));
    println!("What you type in one appears in the other. `hush help` shows what else there is.");
    match dir {
        Some(_) => println!("Ctrl-C ends it here; everything stays in {}.", workshop.dir().display()),
        None => println!("Ctrl-C ends it here and removes everything, {}.", workshop.dir().display()),
    }
    loop {
        thread::sleep(POLL);
        if servers.iter_mut().any(Server::has_ended) {
            return Err(format!(
                "a server has ended by itself; its log is in {}",
                workshop.dir().join("logs").display()
            ));
        }
    }
}

fn chat(person: &Person, with: &Person) -> String {
    format!("{} --data-dir {} chat {}", cargo::program("hush").display(), person.dir.display(), with.name)
}
