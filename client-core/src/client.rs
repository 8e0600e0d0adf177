//! The handle that an app holds.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hushwire_engine::{
    Answer, Command, Credentials, DatabaseKey, DeviceRequest, Engine, Joining, KnownAccount, NewContact, RecoveryKey,
    Setup, Store, StoreError,
};
use hushwire_proto::admission::Invite;
use hushwire_proto::ids::UnixMillis;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::connectivity::Connectivity;
use crate::data_dir::{DataDir, Lock};
use crate::diagnose::{self, Finding};
use crate::driver::{Ask, Driver, Failure, Progress};
use crate::engine_thread::EngineThread;
use crate::error::{self, Error};
use crate::events::EventStream;
use crate::files;
use crate::lookup;
use crate::newcomer::{Newcomer, Registering};
use crate::vault::{self, Protection, Unlock};

/// Commands that wait for the engine. More than a person types and a script pipes; further ones wait with their caller.
const COMMANDS_WAITING_MAX: usize = 64;

/// Events that a subscriber may be behind before it is told that it missed some.
const EVENTS_BEHIND_MAX: usize = 1024;

/// One account on this machine. Clones share it; all methods may be called from any task.
///
/// Nothing touches the network before [`Client::connect`]. When the last clone is dropped everything stops, but only
/// [`Client::close`] waits for it. End the process by returning from `main` with its runtime dropped, not by
/// `std::process::exit` while a client is open: the database would be torn down under a thread that uses it. (Nothing
/// is lost then, but the process may end with a signal.)
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: DataDir,
    asks: mpsc::Sender<Ask>,
    engine: EngineThread,
    credentials: Arc<Credentials>,
    events: broadcast::WeakSender<hushwire_engine::Event>,
    connectivity: watch::Receiver<Connectivity>,
    newcomer: Arc<Newcomer>,
    progress: watch::Receiver<Progress>,
    failure: Failure,
}

/// Whether what was waited for came within the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the deadline may have passed first"]
pub struct Settled {
    /// Nothing is outstanding any more. `false`: the deadline passed first, and what is outstanding goes on.
    pub done: bool,
}

impl Client {
    /// Makes an account in this directory: keys, database, and the protection of its key. Purely local: it is
    /// registered once [`Client::connect`] was called.
    ///
    /// Returns the client and the 24 words of the recovery key, which are kept nowhere: show them once.
    ///
    /// # Errors
    /// [`Error::AccountExists`] if there is one; [`Error::NoKeyring`] and the like if the key cannot be protected as
    /// asked: nothing is left behind then.
    ///
    /// ```no_run
    /// use hushwire_client::address::{KEYSERVER_PORT, RELAY_PORT, ServerAddress};
    /// use hushwire_client::{Client, DataDir, Protection, Setup};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let setup = Setup {
    ///     relay: ServerAddress::parse("hush://FINGERPRINT@relay.example.org", RELAY_PORT)?,
    ///     keyserver: ServerAddress::parse("hush://FINGERPRINT@keys.example.org", KEYSERVER_PORT)?,
    ///     handle_name: Some("alice".to_owned()),
    /// };
    /// let (client, words) = Client::create(&DataDir::at("alice"), Protection::Keyring, setup).await?;
    /// client.connect().await?;
    /// # let _ = words;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create(
        dir: &DataDir,
        protection: Protection,
        setup: Setup,
    ) -> Result<(Self, Zeroizing<String>), Error> {
        let make = move |store| {
            let (engine, recovery) = Engine::create(store, &setup, now(), &mut rand::rng())?;
            Ok((engine, recovery.words()))
        };
        Self::make(dir, protection, make).await
    }

    /// Asks a keyserver for an account that a device here is to be one of, over a connection on which nobody signs in, and
    /// checks the answer.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::NoSuchAccount`]; [`Error::CannotJoin`] when what the keyserver says does not hold.
    pub async fn look_up(whose: &NewContact) -> Result<KnownAccount, Error> {
        lookup::look_up(whose).await
    }

    /// Makes a device in this directory that waits until another device of the account adds it. Purely local, as
    /// [`Client::create`]. The request is to be given to the other device; [`Engine::device_request`] has it later too.
    ///
    /// # Errors
    /// As [`Client::create`]; [`Error::CannotJoin`].
    pub async fn join(dir: &DataDir, protection: Protection, joining: Joining) -> Result<(Self, DeviceRequest), Error> {
        let make = move |store| Engine::join(store, &joining, now(), &mut rand::rng())?.map_err(Error::CannotJoin);
        Self::make(dir, protection, make).await
    }

    /// Makes the one device of an account whose other devices are lost or in other hands. It counts, and the others are
    /// out, once the keyserver has taken it, which needs [`Client::connect`].
    ///
    /// # Errors
    /// As [`Client::create`]; [`Error::CannotJoin`] also for words that are not those of the account.
    pub async fn recover(
        dir: &DataDir,
        protection: Protection,
        joining: Joining,
        words: RecoveryKey,
    ) -> Result<Self, Error> {
        let make = move |store| {
            let engine = Engine::recover(store, &joining, &words, now(), &mut rand::rng())?;
            Ok((engine.map_err(Error::CannotJoin)?, ()))
        };
        Ok(Self::make(dir, protection, make).await?.0)
    }

    /// New recovery words, which stand for nothing yet: for [`Command::RenewRecovery`], once they are on paper.
    #[must_use]
    pub fn new_recovery_key() -> RecoveryKey {
        RecoveryKey::generate(&mut rand::rng())
    }

    async fn make<T: Send + 'static>(
        dir: &DataDir,
        protection: Protection,
        make_engine: impl FnOnce(Store) -> Result<(Engine, T), Error> + Send + 'static,
    ) -> Result<(Self, T), Error> {
        let place = dir.clone();
        let (lock, engine, made) = blocking(move || make(&place, &protection, make_engine)).await?;
        Ok((Self::start(dir.clone(), lock, engine).await?, made))
    }

    /// Opens the account of this directory. Ask [`DataDir::protection`] first whether a passphrase is needed.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::InUse`], [`Error::WrongPassphrase`], [`Error::PassphraseNeeded`], and what the
    /// key's place or the database has to say. Nothing changed.
    ///
    /// ```no_run
    /// use hushwire_client::{Client, DataDir, ProtectionKind, Unlock, Zeroizing};
    ///
    /// # async fn example(ask: impl Fn() -> String) -> Result<(), hushwire_client::Error> {
    /// let dir = DataDir::at("alice");
    /// let unlock = match dir.protection()? {
    ///     ProtectionKind::Passphrase => Unlock::Passphrase(Zeroizing::new(ask())),
    ///     ProtectionKind::Keyring | ProtectionKind::KeyFile => Unlock::Stored,
    /// };
    /// let client = Client::open(&dir, unlock).await?;
    /// # let _ = client;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(dir: &DataDir, unlock: Unlock) -> Result<Self, Error> {
        let place = dir.clone();
        let (lock, engine) = blocking(move || {
            let lock = place.lock()?;
            let key = vault::open(&place, &unlock)?;
            files::check_private(&place.database())?;
            let store = Store::open(&place.database(), &DatabaseKey::new(*key))?;
            let mut engine = Engine::open(store)?.ok_or_else(|| Error::NoAccount { dir: place.path().to_owned() })?;
            engine.forget_expired(now(), &mut rand::rng())?;
            Ok((lock, engine))
        })
        .await?;
        Self::start(dir.clone(), lock, engine).await
    }

    async fn start(dir: DataDir, lock: Lock, engine: Engine) -> Result<Self, Error> {
        let engine = EngineThread::start(engine, lock).map_err(error::file(dir.path()))?;
        let (credentials, has_work) = engine.query(|engine| Ok((engine.credentials(), engine.has_work()?))).await?;
        let credentials = Arc::new(credentials);
        let (failure, newcomer) = (Failure::default(), Arc::new(Newcomer::default()));
        let (asks, asked) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (events, _) = broadcast::channel(EVENTS_BEHIND_MAX);
        let (reached, connectivity) = watch::channel(Connectivity::default());
        let (progressed, progress) = watch::channel(Progress { online: false, idle: !has_work });
        let inner = Inner {
            dir,
            asks,
            engine: engine.clone(),
            credentials: credentials.clone(),
            events: events.downgrade(),
            connectivity,
            newcomer: newcomer.clone(),
            progress,
            failure: failure.clone(),
        };
        tokio::spawn(Driver::new(engine, credentials, events, reached, newcomer, progressed, failure).run(asked));
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Goes online and stays so: connects, registers if that is still to be done, fetches, sends what waits, and
    /// connects again whenever the network was lost. Returns at once; see [`Client::connectivity`]. Repeating it
    /// hurries the next try.
    ///
    /// # Errors
    /// [`Error::Closed`], or the error that stopped the client.
    pub async fn connect(&self) -> Result<(), Error> {
        let (begin, begun) = oneshot::channel();
        self.ask(Ask::Connect(begin)).await?;
        begun.await.unwrap_or_else(|_| Err(self.inner.failure.or_closed()))
    }

    /// An invite to the keyserver for this account, which is not registered yet. Kept in memory only, and used by the next
    /// try to register.
    pub fn set_invite(&self, invite: Option<Invite>) {
        self.inner.newcomer.set_invite(invite);
    }

    /// How far registering is: work that is done for it, and what the keyserver said.
    #[must_use]
    pub fn registering(&self) -> watch::Receiver<Registering> {
        self.inner.newcomer.shown()
    }

    /// Carries out what a person wants. Done, and kept, once this returns; what the network has to do with it follows.
    ///
    /// A command that has begun is carried out even if the caller stops waiting for the answer.
    ///
    /// # Errors
    /// [`Error::Refused`]: not done, nothing changed (so the answer is never [`Answer::Refused`]).
    /// [`Error::Store`]: the database failed and the client has stopped.
    pub async fn command(&self, command: Command) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Command(command, answer)).await?;
        match answered.await {
            Ok(Ok(Answer::Refused(why))) => Err(Error::Refused(why)),
            Ok(result) => result,
            Err(_) => Err(self.inner.failure.or_closed()),
        }
    }

    /// Looks something up. The closure runs where the database is, between two inputs, and should be short.
    ///
    /// # Errors
    /// What the closure returns, as [`Error::Store`].
    ///
    /// ```no_run
    /// # async fn example(client: hushwire_client::Client) -> Result<(), hushwire_client::Error> {
    /// for contact in client.query(|engine| engine.contacts()).await? {
    ///     assert!(!contact.name.is_empty());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        match self.inner.engine.query(look).await {
            Err(Error::Closed) => Err(self.inner.failure.or_closed()),
            result => result,
        }
    }

    /// Everything that happens from now on. Every subscriber hears every event once.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::of(self.inner.events.upgrade())
    }

    /// Whether the own relay is reached, and what the last try met. The receiver always has the newest.
    #[must_use]
    pub fn connectivity(&self) -> watch::Receiver<Connectivity> {
        self.inner.connectivity.clone()
    }

    /// Waits until nothing is outstanding: everything sent that can be, receipts too, and the relay told what it may
    /// forget. For programs that do one thing and end. Offline it says at once how things stand.
    ///
    /// # Errors
    /// [`Error::Closed`], or the error that stopped the client.
    pub async fn settle(&self, deadline: Duration) -> Result<Settled, Error> {
        let mut progress = self.inner.progress.clone();
        self.within(deadline, progress.wait_for(|now| now.idle || !now.online)).await?;
        Ok(Settled { done: progress.borrow().idle })
    }

    /// Waits until the own relay was reached and everything that it had is kept here. Needs [`Client::connect`].
    ///
    /// # Errors
    /// [`Error::Closed`], or the error that stopped the client.
    pub async fn drained(&self, deadline: Duration) -> Result<Settled, Error> {
        let mut connectivity = self.inner.connectivity.clone();
        self.within(deadline, connectivity.wait_for(|now| now.caught_up)).await?;
        Ok(Settled { done: connectivity.borrow().caught_up })
    }

    /// Looks at everything that a working client needs, over connections of its own, and says what to do about what is
    /// wrong. Takes as long as the slowest server, at most two deadlines.
    pub async fn diagnose(&self) -> Vec<Finding> {
        diagnose::run(self, &self.inner.credentials).await
    }

    /// Keeps the database's key in another way, or under another passphrase. The database itself stays as it is.
    ///
    /// # Errors
    /// [`Error::WrongPassphrase`] and the like if `current` does not open it, or the new place cannot be used: nothing
    /// changed then.
    pub async fn protect(&self, current: Unlock, new: Protection) -> Result<(), Error> {
        let dir = self.inner.dir.clone();
        blocking(move || vault::change(&dir, &current, &new)).await
    }

    /// Ends what is under way, closes all connections and the database, and releases the data directory. Other clones
    /// get [`Error::Closed`] from now on.
    ///
    /// # Errors
    /// The error that stopped the client before, if one did.
    pub async fn close(self) -> Result<(), Error> {
        let asked = self.ask(Ask::Close).await;
        self.inner.engine.ended().await;
        match asked {
            Ok(()) | Err(Error::Closed) => self.inner.failure.get().map_or(Ok(()), Err),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, ask: Ask) -> Result<(), Error> {
        self.inner.asks.send(ask).await.map_err(|_| self.inner.failure.or_closed())
    }

    /// A deadline that passes is no error; a driver that has ended is.
    async fn within<T>(
        &self,
        deadline: Duration,
        wait: impl Future<Output = Result<T, watch::error::RecvError>>,
    ) -> Result<(), Error> {
        match timeout(deadline, wait).await {
            Ok(Err(_)) => Err(self.inner.failure.or_closed()),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

/// The vault is written last: a directory without one holds no account, whatever else an interrupted try left there.
fn make<T>(
    dir: &DataDir,
    protection: &Protection,
    make_engine: impl FnOnce(Store) -> Result<(Engine, T), Error>,
) -> Result<(Lock, Engine, T), Error> {
    dir.prepare()?;
    let lock = dir.lock()?;
    if dir.has_account() {
        return Err(Error::AccountExists { dir: dir.path().to_owned() });
    }
    dir.set_aside_leftovers()?;
    let mut key = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(key.as_mut_slice()).map_err(|_| Error::NoRandomness)?;
    files::create_private(&dir.database()).map_err(error::file(&dir.database()))?; // SQLite keeps the mode
    let made = Store::open(&dir.database(), &DatabaseKey::new(*key))
        .map_err(Error::from)
        .and_then(make_engine)
        .and_then(|made| vault::create(dir, &key, protection).map(|()| made));
    let (engine, told) = made.inspect_err(|_| dir.remove_new_database())?;
    Ok((lock, engine, told))
}

/// The wall clock. Before 1970 it is 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Runs what waits for disks, keyrings and Argon2 where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}
