//! Many who ask at the same time, and how many of them are answered in a second.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hushwire_keyserver::fill::name_of;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding};
use hushwire_proto::ids::DeviceId;
use hushwire_proto::keyserver::{Answer, Proven, Request, Who};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::call::Connection;
use hushwire_sim::Failure;
use tokio::task::JoinSet;

use crate::people::Person;
use crate::{float, said};

/// Connections at once, and requests under way on each.
const CONNECTIONS: usize = 16;
const UNDER_WAY: usize = 16;

/// Proofs that are looked at one by one.
const PROOFS: u64 = 200;

/// People who register, and one-time keys of each: as many as an account gives out at once.
const PEOPLE: u64 = 512;
const ONE_TIME_KEYS: u32 = 6;

/// What is asked of one keyserver.
pub(crate) struct Load {
    pub(crate) address: ServerAddress,
    pub(crate) handles: u64,
    pub(crate) time: Duration,
}

/// Means over some proofs.
#[derive(Default)]
pub(crate) struct Proofs {
    pub(crate) present_bytes: f64,
    pub(crate) absent_bytes: f64,
    pub(crate) present: Duration,
    pub(crate) absent: Duration,
}

pub(crate) struct People {
    pub(crate) registrations_per_s: f64,
    pub(crate) publications_per_s: f64,
    pub(crate) fetches_per_s: f64,
}

impl Load {
    /// How large proofs are, and how long a client needs to check one with its root.
    pub(crate) async fn proofs(&self) -> Result<Proofs, Failure> {
        let connection = self.connect().await?;
        let server = self.address.fingerprint().ok_or("an address without a fingerprint")?;
        let mut sums = Proofs::default();
        for _ in 0..PROOFS {
            let name = self.some_handle();
            let Answer::Found(found) = ask(&connection, Request::Lookup(Who::Handle(name.clone()))).await? else {
                return Err(format!("{name} was not found"));
            };
            let Proven { root, proof } = found.proven.ok_or("no proof")?;
            let began = Instant::now();
            root.verify(server).map_err(said)?;
            hushwire_log::present(&root, &name, &proof).map_err(said)?;
            sums.present += began.elapsed();
            sums.present_bytes += float(proof.len() as u64);

            let name = nobody();
            let Answer::Absent(Proven { root, proof }) =
                ask(&connection, Request::Lookup(Who::Handle(name.clone()))).await?
            else {
                return Err(format!("{name} was found"));
            };
            let began = Instant::now();
            root.verify(server).map_err(said)?;
            hushwire_log::absent(&root, &name, &proof).map_err(said)?;
            sums.absent += began.elapsed();
            sums.absent_bytes += float(proof.len() as u64);
        }
        connection.close().await;
        let count = u32::try_from(PROOFS).unwrap_or(u32::MAX);
        Ok(Proofs {
            present_bytes: sums.present_bytes / f64::from(count),
            absent_bytes: sums.absent_bytes / f64::from(count),
            present: sums.present / count,
            absent: sums.absent / count,
        })
    }

    /// Lookups of handles that are there, or are not, each answered with its proof: in a second.
    pub(crate) async fn lookups(&self, absent: bool) -> Result<f64, Failure> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(self.connect().await?);
        }
        let (began, answered, mut asking) = (Instant::now(), Arc::new(AtomicU64::new(0)), JoinSet::new());
        let until = began + self.time;
        for connection in connections {
            for _ in 0..UNDER_WAY {
                let (connection, answered, handles) = (connection.clone(), answered.clone(), self.handles);
                asking.spawn(async move {
                    while Instant::now() < until {
                        let name = if absent { nobody() } else { name_of(rand::random_range(0..handles)) };
                        match ask(&connection, Request::Lookup(Who::Handle(name))).await? {
                            Answer::Found(_) | Answer::Absent(_) => answered.fetch_add(1, Relaxed),
                            other => return Err(format!("{other:?}")),
                        };
                    }
                    Ok(())
                });
            }
        }
        all(asking).await?;
        Ok(float(answered.load(Relaxed)) / began.elapsed().as_secs_f64())
    }

    /// New accounts, their first publications, and fetches that use up what they published: in a second.
    pub(crate) async fn people(&self, round: u64) -> Result<People, Failure> {
        let making = tokio::task::spawn_blocking(move || {
            (0..PEOPLE).map(|number| Arc::new(Person::seeded(round * PEOPLE + number, ONE_TIME_KEYS))).collect()
        });
        let people: Vec<Arc<Person>> = making.await.map_err(said)?;
        let register = |person: &Person, binding| vec![person.registration(binding)];
        let registrations_per_s = self.each(&people, register).await?;
        let publish =
            |person: &Person, binding| vec![person.sign_in(binding), Request::Publish(person.publish.clone())];
        let publications_per_s = self.each(&people, publish).await?;
        let fetch = |person: &Person, _| {
            vec![Request::Fetch { account: person.account, devices: vec![DeviceId::FIRST] }; ONE_TIME_KEYS as usize]
        };
        let fetches_per_s = f64::from(ONE_TIME_KEYS) * self.each(&people, fetch).await?;
        Ok(People { registrations_per_s, publications_per_s, fetches_per_s })
    }

    /// Asks for each person what `requests` says, one after the other, for many people at the same time; people in a second.
    async fn each(
        &self,
        people: &[Arc<Person>],
        requests: fn(&Person, SessionBinding) -> Vec<Request>,
    ) -> Result<f64, Failure> {
        let mut lines = Vec::new();
        // One connection is one person at a time.
        for _ in 0..CONNECTIONS * 4 {
            let connection = self.connect().await?;
            lines.push((SessionBinding(connection.exporter(EXPORTER_LABEL, b"").map_err(said)?), connection));
        }
        let began = Instant::now();
        let mut asking = JoinSet::new();
        let count = lines.len();
        for (place, (binding, connection)) in lines.into_iter().enumerate() {
            let mine: Vec<_> = people.iter().skip(place).step_by(count).cloned().collect();
            asking.spawn(async move {
                for person in mine {
                    for request in requests(&person, binding) {
                        if let Answer::Refused(refused) = ask(&connection, request).await? {
                            return Err(refused.to_string());
                        }
                    }
                }
                Ok(())
            });
        }
        all(asking).await?;
        Ok(float(people.len() as u64) / began.elapsed().as_secs_f64())
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        Connection::connect(&self.address, KEYS_ALPN, CONNECT_DEADLINE).await.map_err(said)
    }

    fn some_handle(&self) -> String {
        name_of(rand::random_range(0..self.handles))
    }
}

fn nobody() -> String {
    format!("nobody.{}", rand::random::<u64>())
}

async fn ask(connection: &Connection, request: Request) -> Result<Answer, Failure> {
    let answer = connection.call(request.encode(), CALL_DEADLINE).await.map_err(said)?;
    Answer::parse(&answer).map_err(said)
}

async fn all(mut asking: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(ended) = asking.join_next().await {
        ended.map_err(said)??;
    }
    Ok(())
}
