//! What was meant: which account, how it is opened, how output looks. Opens the account once, when a command first
//! needs it, and closes it at the end whatever happened in between.

use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use hushwire_client::{Client, Contact, DataDir, Error, Profile, ProtectionKind, Unlock, Zeroizing};
use tokio::sync::OnceCell;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::passphrase;
use crate::show::Out;
use crate::text;

/// A person who mistypes a passphrase three times has forgotten it.
const PASSPHRASE_TRIES: u32 = 3;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct App {
    global: Global,
    out: Out,
    client: OnceCell<Client>,
    /// What opened the account, for the command that changes it.
    opened_with: OnceCell<Unlock>,
}

impl App {
    /// Touches nothing yet.
    pub(crate) fn new(global: Global, out: Out) -> Self {
        Self { global, out, client: OnceCell::new(), opened_with: OnceCell::new() }
    }

    /// Where to print.
    pub(crate) fn out(&self) -> &Out {
        &self.out
    }

    /// The options that every command takes.
    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    /// What `--timeout` says, or else what suits the command.
    pub(crate) fn timeout(&self, usual: Duration) -> Duration {
        self.global.timeout.unwrap_or(usual)
    }

    /// The folder of the account.
    ///
    /// # Errors
    /// When there is no home directory and no `--data-dir`.
    pub(crate) fn dir(&self) -> Result<DataDir, Failure> {
        let base = match &self.global.data_dir {
            Some(dir) => dir.clone(),
            None => data_home()?.join("hushwire"),
        };
        Ok(DataDir::at(base.join(&self.global.account)))
    }

    /// The account, opened. Asks for the passphrase if one is needed and somebody is there to ask.
    ///
    /// # Errors
    /// See `exit`.
    pub(crate) async fn client(&self) -> Result<&Client, Failure> {
        self.client.get_or_try_init(|| self.open()).await
    }

    /// Keeps an account that was just made.
    pub(crate) fn keep(&self, client: Client) {
        // `register` makes its account before anything could have opened one.
        let _ = self.client.set(client);
    }

    /// Lets go of the account. What stopped the client was told by the command that met it.
    pub(crate) async fn close(self) {
        if let Some(client) = self.client.into_inner()
            && let Err(error) = client.close().await
        {
            tracing::debug!("closing: {error}");
        }
    }

    /// What opened the account.
    ///
    /// # Errors
    /// As [`App::client`].
    pub(crate) async fn opened_with(&self) -> Result<Unlock, Failure> {
        self.client().await?;
        Ok(self.opened_with.get().cloned().unwrap_or(Unlock::Stored))
    }

    async fn unlock(&self, dir: &DataDir) -> Result<Unlock, Failure> {
        match dir.protection()? {
            ProtectionKind::Keyring | ProtectionKind::KeyFile => Ok(Unlock::Stored),
            ProtectionKind::Passphrase => Ok(Unlock::Passphrase(self.passphrase().await?)),
        }
    }

    async fn passphrase(&self) -> Result<Zeroizing<String>, Failure> {
        match &self.global.passphrase_file {
            Some(file) => passphrase::from_file(file),
            None if passphrase::can_ask() => passphrase::ask("Passphrase: ").await,
            None => Err(Failure::from(Error::PassphraseNeeded)),
        }
    }

    async fn open(&self) -> Result<Client, Failure> {
        let dir = self.dir()?;
        let asked = self.global.passphrase_file.is_none();
        for tries_left in (0..PASSPHRASE_TRIES).rev() {
            let unlock = self.unlock(&dir).await?;
            match Client::open(&dir, unlock.clone()).await {
                Err(Error::WrongPassphrase) if asked && tries_left > 0 => {
                    self.out.warn("that is not the passphrase; try again");
                }
                result => {
                    let client = result?;
                    // Set once: this runs until the account is open.
                    let _ = self.opened_with.set(unlock);
                    return Ok(client);
                }
            }
        }
        Err(Failure::from(Error::WrongPassphrase))
    }

    /// Whose account this is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn profile(&self) -> Result<Profile, Failure> {
        Ok(self.client().await?.query(|engine| engine.profile()).await?)
    }

    /// The contact with what was learnt since: a stranger's first message says who they claim to be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn as_now(&self, contact: &Contact) -> Result<Contact, Failure> {
        let id = contact.id;
        let now = self.client().await?.query(move |engine| engine.contact(id)).await?;
        Ok(now.unwrap_or_else(|| contact.clone()))
    }

    /// Goes online, and waits until everything that the relay has is here.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub(crate) async fn fetch(&self, deadline: Duration) -> Result<(), Failure> {
        let client = self.client().await?;
        client.connect().await?;
        let mut connectivity = client.connectivity();
        let (mut drained, mut is_told) = (std::pin::pin!(client.drained(deadline)), false);
        loop {
            tokio::select! {
                biased;
                drained = &mut drained => {
                    return if drained?.done { Ok(()) } else { Err(self.offline(deadline).await) };
                }
                Ok(()) = connectivity.changed(), if !is_told => {
                    // Whoever waits knows early for what.
                    if let Some(why) = connectivity.borrow_and_update().last_error.clone() {
                        is_told = true;
                        let (why, seconds) = (text::clean_line(&why), deadline.as_secs());
                        self.out.note(&format!(
                            "The relay cannot be reached: {why}. Trying again for {seconds} s; Ctrl-C stops it."
                        ));
                    }
                }
            }
        }
    }

    /// Goes online for a moment, so that what was done here gets out. `false`: it did not, and goes out later.
    ///
    /// # Errors
    /// The error that stopped the client.
    pub(crate) async fn get_out(&self, usual: Duration) -> Result<bool, Failure> {
        let (client, deadline) = (self.client().await?, self.timeout(usual));
        client.connect().await?;
        Ok(client.drained(deadline).await?.done && client.settle(deadline).await?.done)
    }

    /// The same after a change that others are told of, with a word if they are not told yet.
    ///
    /// # Errors
    /// As [`App::get_out`].
    pub(crate) async fn tell_others(&self, usual: Duration) -> Result<(), Failure> {
        let told = self.get_out(usual).await?;
        self.note_unless(told);
        Ok(())
    }

    /// A word if what was done has not got out yet.
    pub(crate) fn note_unless(&self, told: bool) {
        if !told {
            self.out
                .note("Kept here. The others hear of it with the next command that connects, such as `hush receive`.");
        }
    }

    /// Why the relay is not reached.
    pub(crate) async fn offline(&self, waited: Duration) -> Failure {
        let why = match self.client.get() {
            Some(client) => client.connectivity().borrow().last_error.clone(),
            None => None,
        };
        let why = why.map_or_else(|| format!("no answer within {} s", waited.as_secs()), |why| text::clean_line(&why));
        Failure::new(Exit::Network, format!("the relay cannot be reached: {why}"))
            .hint("what you wrote is kept and goes out later; `hush doctor` looks at each part of the connection")
    }
}

fn data_home() -> Result<PathBuf, Failure> {
    etcetera::base_strategy::Xdg::new().map(|places| places.data_dir()).map_err(|_| {
        Failure::usage(
            "there is no home directory to keep the account in",
            "name a folder with --data-dir or HUSHWIRE_DATA_DIR",
        )
    })
}
